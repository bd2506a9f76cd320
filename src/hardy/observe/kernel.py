"""What the kernel tells of processes, under /proc: who lives, and which memory of hardy's it has open."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

__all__ = ["Memfd", "Opened", "Stat", "count_threads", "named_locks", "opened_by", "pids", "read_command", "read_stat"]

_PREFIX = "/memfd:hardy-"
_SOCKET = "socket:["
# In /proc/net/unix: it takes connections (SO_ACCEPTCON). Who holds a named lock does; a waiter's end does not.
_LISTENS = 0x10000
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """A process at one instant.

    Attributes:
        pid, ppid: it and its parent.
        state: as in `ps`: R runs, S sleeps, D waits for a device, T is stopped, Z is a zombie.
        start_ticks: when it began, in clock ticks since the boot.
        cpu_s: time on a processor so far.
        rss_bytes: memory that it has, what it shares with others included.
        threads: how many it has.
        exit_status: of a zombie, as from waitpid.
    """

    pid: int
    ppid: int
    state: str
    start_ticks: int
    cpu_s: float
    rss_bytes: int
    threads: int
    exit_status: int


class Memfd(NamedTuple):
    """A memory of hardy's that a process has open."""

    pid: int
    fd: int
    name: str
    inode: int


class Opened(NamedTuple):
    """What a process has open of hardy's: memory, and sockets that are named locks, as the kernel calls them."""

    memfds: list[Memfd]
    named_locks: list[str]


def pids() -> list[int]:
    """All processes."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def read_stat(pid: int) -> Stat | None:
    """A process, also when it is a zombie; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The command's name, in parentheses, may itself hold parentheses and spaces.
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        pid=pid,
        ppid=int(fields[1]),
        state=fields[0].decode(),
        start_ticks=int(fields[19]),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        rss_bytes=int(fields[21]) * _PAGE,
        threads=int(fields[17]),
        exit_status=int(fields[49]) if len(fields) > 49 else 0,
    )


def read_command(pid: int) -> list[str]:
    """The command line; empty for a zombie, and when there is none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [word.decode(errors="replace") for word in file.read().split(b"\0") if word]
    except OSError:
        return []


def count_threads(pid: int) -> int:
    """How many threads a process has beside the one by which hardy learns of deaths; 0 when there is none."""
    count = 0
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/comm", "rb") as file:
                count += file.read() != b"hardy-lifeline\n"
    except OSError:
        return 0  # it has ended, or one of them has: it does something
    return count


def named_locks(prefix: str) -> dict[int, str]:
    """The named locks that are held in this network namespace: what stands behind the prefix, by the socket's inode."""
    found = {}
    try:
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
            for line in table:
                fields = line.rstrip("\n").split(" ", 6)
                if f" @{prefix}" in line and int(fields[3], 16) & _LISTENS:
                    # The name may have spaces; the inode is padded with them.
                    inode, _, path = fields[6].lstrip().partition(" ")
                    if path.startswith(f"@{prefix}"):
                        found[int(inode)] = path[len(prefix) + 1 :]
    except OSError:
        return {}  # there is no such file: a kernel without Unix sockets, or /proc is shut
    return found


def opened_by(pid: int, locks: dict[int, str]) -> Opened:
    """What a process has open of hardy's; nothing when it is another user's. `locks`: as from `named_locks`."""
    folder = f"/proc/{pid}/fd"
    found, held = [], []
    try:
        names = os.listdir(folder)
    except OSError:
        return Opened([], [])
    for name in names:
        path = f"{folder}/{name}"
        try:
            target = os.readlink(path)
            # The link's own mode tells how it is open: to be read alone, by one who only looks, as we do.
            if target.startswith(_PREFIX) and os.lstat(path).st_mode & stat.S_IWUSR:
                found.append(Memfd(pid, int(name), target[len(_PREFIX) :].partition(" ")[0], os.stat(path).st_ino))
            elif (
                locks and target.startswith(_SOCKET) and (lock := locks.get(int(target[len(_SOCKET) : -1]))) is not None
            ):
                held.append(lock)
        except OSError:
            continue  # closed meanwhile
    return Opened(found, held)
