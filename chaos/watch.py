"""What must not be: a participant that goes no further, a zombie, an orphan, a name that stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

from chaos import ledger
from chaos.ledger import Ledger
from chaos.victims import children_of, is_alive, state_of

HANG_S = 8.0
# A death is promised to be dealt with in one second; the machine may be busy with others.
GRACE_S = 3.0
REAP_S = 2.0
_SHM = Path("/dev/shm")


class Progress:
    """Whether a round goes on. Each seat's count of operations is looked at; a hang is no progress for `hang_s`.

    A seat may rightly wait for others (a consumer for an item), so while kills go on it is the round as a whole that
    must go on; when it drains, each seat must come to its end, and the round counts as hung when nobody has moved.
    """

    def __init__(self, book: Ledger, hang_s: float) -> None:
        self._book = book
        self._hang_s = hang_s
        self._seen: tuple[int, ...] = ()
        self._since = time.monotonic()

    def has_stalled(self) -> bool:
        """Whether nobody has moved for too long."""
        counts = tuple(self._book.seat_word(seat, ledger.COUNT) for seat in range(self._book.seats))
        ends = tuple(last.end if (last := self._book.last(seat)) else 0 for seat in range(self._book.seats))
        now = time.monotonic()
        if counts + ends != self._seen:
            self._seen, self._since = counts + ends, now
        return now - self._since > self._hang_s


class Zombies:
    """Dead children that nobody has reaped for too long."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}
        self.found: set[int] = set()

    def look(self, parent: int) -> None:
        """Look at the children of that living process, and theirs."""
        now = time.monotonic()
        dead: dict[int, float] = {}
        for owner in (parent, *children_of(parent)):
            if state_of(owner) in ("T", "t", "Z", "X", ""):
                continue
            for child in children_of(owner):
                if state_of(child) == "Z":
                    dead[child] = self._since.get(child, now)
        self._since = dead
        self.found |= {pid for pid, since in dead.items() if now - since > REAP_S}


def wait_for_end(pids: list[int], timeout_s: float) -> tuple[list[int], float]:
    """Those that still run after the time, and how long the others took."""
    start = time.monotonic()
    while (running := [pid for pid in pids if is_alive(pid)]) and time.monotonic() - start < timeout_s:
        time.sleep(0.002)
    return running, time.monotonic() - start


def names(main_pid: int = 0) -> frozenset[str]:
    """What has a name: files in /dev/shm, and the abstract sockets of that program's named locks."""
    found = {f"{_SHM}/{name}" for name in os.listdir(_SHM)} if _SHM.is_dir() else set()
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines():
        address = line.split(maxsplit=7)[7:]
        if address and f"chaos-{main_pid}" in address[0]:
            found.add(address[0])
    return frozenset(found)


def names_left(before: frozenset[str], since: float, main_pid: int) -> list[str]:
    """Names that were not there before, are of this round, and stay: other programs of the machine have some too."""
    end = time.monotonic() + GRACE_S
    while left := [name for name in names(main_pid) - before if _is_ours(name, since)]:
        if time.monotonic() > end:
            return sorted(left)
        time.sleep(0.05)
    return []


def _is_ours(name: str, since: float) -> bool:
    if name.startswith("@"):
        return True
    try:
        status = os.stat(name)
    except FileNotFoundError:
        return False
    return status.st_uid == os.getuid() and status.st_mtime >= since and not _mapped_by_anyone(name)


def _mapped_by_anyone(name: str) -> bool:
    for pid in (each for each in os.listdir("/proc") if each.isdecimal()):
        try:
            if f"{name}\n" in Path(f"/proc/{pid}/maps").read_text():
                return True
        except OSError:
            continue
    return False
