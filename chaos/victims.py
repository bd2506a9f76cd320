"""Signals to the right process, and a look at where it was: what makes a kill aimed."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path

_GET_ROBUST_LIST = {"x86_64": 274, "aarch64": 100}.get(platform.machine())
_libc = ctypes.CDLL(None, use_errno=True)
# How long a stopped process may take to be stopped: it is on its way back from a system call.
_STOP_S = 1.0


def state_of(pid: int) -> str:
    """The kernel's letter for the process's state; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


_EXITING = 0x4


def is_alive(pid: int) -> bool:
    """Whether it may run another instruction of its program; a stopped one may, one that is on its way out may not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in "ZX" and not int(fields[6]) & _EXITING


def children_of(pid: int) -> list[int]:
    """The processes that it started, zombies too."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        found = [Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in threads]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for text in found for child in text.split()]


def tree_of(pid: int) -> list[int]:
    """Its children and theirs, each after its parent."""
    tree = [pid]
    for each in tree:
        tree += children_of(each)
    return tree[1:]


class Target:
    """A process that cannot be taken for another: a pidfd, and what is known of it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def send(self, number: int) -> bool:
        """False when it has ended already."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Whether it ends within the time."""
        import select

        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))

    def stop(self) -> bool:
        """SIGSTOP, and wait until no instruction of it runs; False when it has ended instead."""
        if not self.send(signal.SIGSTOP):
            return False
        end = time.monotonic() + _STOP_S
        while time.monotonic() < end:
            state = state_of(self.pid)
            if state in ("T", "t"):
                return True
            if state in ("", "Z", "X"):
                return False
            os.sched_yield()
        # It may be about to.
        self.send(signal.SIGCONT)
        return False

    def close(self) -> None:
        """Forget it."""
        os.close(self.pidfd)


@dataclass(frozen=True)
class Whereabouts:
    """Where a stopped process is.

    Attributes:
        in_guard: it holds a robust mutex, or is between taking it and saying so.
        in_core: its next instruction belongs to one of the library's native modules.
    """

    in_guard: bool
    in_core: bool


class Scope:
    """Looks into stopped processes. What it finds it finds in the kernel's own words, so it knows no layout of ours.

    A robust mutex stands in its holder's robust list for as long as it is held; that list is what the kernel itself
    goes through when the holder dies.
    """

    def __init__(self, native: str) -> None:
        self._native = native.encode()
        self._core: dict[int, list[tuple[int, int]]] = {}

    def look(self, pid: int) -> Whereabouts:
        """Where it is; (False, False) when it cannot be said."""
        try:
            return Whereabouts(self._holds_guard(pid), self._is_in_core(pid))
        except (OSError, ValueError, IndexError, struct.error):
            return Whereabouts(False, False)

    def _holds_guard(self, pid: int) -> bool:
        if _GET_ROBUST_LIST is None:
            return False
        head, size = ctypes.c_void_p(), ctypes.c_size_t()
        if _libc.syscall(_GET_ROBUST_LIST, pid, ctypes.byref(head), ctypes.byref(size)) or not head.value:
            return False
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(head.value)
            first, _offset, pending = struct.unpack("<QqQ", memory.read(24))
        return bool(first & ~1 != head.value or pending)

    def _is_in_core(self, pid: int) -> bool:
        words = Path(f"/proc/{pid}/syscall").read_text().split()
        counter = int(words[-1], 16)
        if pid not in self._core:
            self._core[pid] = self._places(pid)
        return any(start <= counter < end for start, end in self._core[pid])

    def _places(self, pid: int) -> list[tuple[int, int]]:
        places = []
        for line in Path(f"/proc/{pid}/maps").read_bytes().splitlines():
            if self._native in line and b" r-xp " in line:
                start, _, end = line.split()[0].partition(b"-")
                places.append((int(start, 16), int(end, 16)))
        return places


def stacks(pid: int) -> str:
    """What the kernel says of each thread of a process."""
    lines = []
    try:
        threads = sorted(os.listdir(f"/proc/{pid}/task"), key=int)
    except (FileNotFoundError, ProcessLookupError):
        return f"process {pid}: gone\n"
    for thread in threads:
        lines.append(f"process {pid}, thread {thread}:")
        for name in ("wchan", "syscall", "stack"):
            lines += [f"  {name}: {line}" for line in _read(f"/proc/{pid}/task/{thread}/{name}").splitlines()]
        wanted = ("Name", "State", "PPid", "SigPnd", "ShdPnd", "SigBlk", "VmRSS", "Threads")
        status = _read(f"/proc/{pid}/task/{thread}/status").splitlines()
        lines.append("  " + "; ".join(line.replace("\t", " ") for line in status if line.partition(":")[0] in wanted))
    return "\n".join(lines) + "\n"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError as error:
        return error.strerror or "unreadable"
