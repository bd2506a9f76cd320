"""What the kernel knows of processes, read from /proc."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from .waiting import wait_until

_MEMFD = re.compile(r"^/memfd:(.*?)(?: \(deleted\))?$")


class Stat(NamedTuple):
    """A process at one instant; `start_ticks` tells it from a later one with its pid."""

    pid: int
    state: str
    ppid: int
    pgid: int
    start_ticks: int

    @property
    def running(self) -> bool:
        return self.state not in "ZX"


def stat(pid: int) -> Stat | None:
    """The process, also when it is a zombie; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself hold parentheses and spaces.
    fields = text.rpartition(")")[2].split()
    return Stat(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[19]))


def processes() -> dict[int, Stat]:
    """Every process of the system, zombies too, by pid."""
    found = (stat(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return {each.pid: each for each in found if each is not None}


def command_line(pid: int) -> str:
    """The process's command line; "" for a zombie, and when there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not, a stopped one does)."""
    found = stat(pid)
    return found is not None and found.running


def wait_dead(pid: int, timeout_s: float = 10.0) -> bool:
    """Whether the process has ended (reaped or not) within the time."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    os.close(pidfd)
    return wait_until(lambda: not alive(pid), timeout_s)


def descendants(pid: int, every: dict[int, Stat] | None = None) -> list[int]:
    """The children of the process, running or zombie, and theirs; each stands after its parent.

    Args:
        pid: the process.
        every: what `processes()` gave; None asks it now.
    """
    children: dict[int, list[int]] = {}
    for each in (processes() if every is None else every).values():
        children.setdefault(each.ppid, []).append(each.pid)
    tree = [pid]
    for parent in tree:
        tree += children.get(parent, [])
    return tree[1:]


def memfds(pid: int | str = "self") -> list[str]:
    """The names of the memfds that the process has open, one for each descriptor, sorted."""
    return sorted(match[1] for target in descriptors(pid).values() if (match := _MEMFD.match(target)))


def descriptors(pid: int | str = "self") -> dict[int, str]:
    """The open descriptors of the process, each with what it is open on."""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue  # the one that listed the folder
    return found


def mapped_memfds(pid: int | str = "self") -> list[tuple[str, int]]:
    """Name and inode of each memfd of which the process maps a part, each once, sorted."""
    found = set()
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        _range, _mode, _offset, _device, inode, *path = line.split(maxsplit=5)
        if path and (match := _MEMFD.match(path[0])):
            found.add((match[1], int(inode)))
    return sorted(found)
