"""How fast things go, from one snapshot to the next; nothing is counted in the programs for it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from hardy.observe.snapshot import Process, Shared, Snapshot

__all__ = ["History", "QueueRate"]

# Rates are of the last so many seconds; the age of the oldest object is known for this long back.
_RATE_NS = 2_000_000_000
_KEPT_NS = 3600 * 1_000_000_000
_MOST = 4000


class QueueRate(NamedTuple):
    """What a queue does.

    Attributes:
        put_per_s, got_per_s: objects in and out.
        oldest_s: for how long the oldest object has been in it; None when it is empty.
        is_at_least: whether it may be older: it was there before the first look.
    """

    put_per_s: float
    got_per_s: float
    oldest_s: float | None
    is_at_least: bool


class _Look(NamedTuple):
    taken_ns: int
    put: int
    got: int


class History:
    """Earlier snapshots, as far as rates need them."""

    def __init__(self) -> None:
        self._queues: dict[tuple[int, int], deque[_Look]] = {}
        self._cpu: dict[int, tuple[int, float]] = {}
        self._load: dict[int, float] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Take note of one more."""
        now = snapshot.taken_ns
        queues = {(each.segment, each.place): each for each in snapshot.shared if "count" in each.facts}
        for gone in self._queues.keys() - queues.keys():
            del self._queues[gone]
        for key, queue in queues.items():
            looks = self._queues.setdefault(key, deque(maxlen=_MOST))
            looks.append(_Look(now, queue.facts["put"], queue.facts["got"]))
            while looks[0].taken_ns < now - _KEPT_NS:
                looks.popleft()
        cpu = {}
        for program in snapshot.programs:
            for each in program.processes:
                cpu[each.identity] = (now, each.cpu_s)
                before = self._cpu.get(each.identity)
                if before is not None and now > before[0]:
                    self._load[each.identity] = (each.cpu_s - before[1]) / (now - before[0]) * 1e9
        self._cpu = cpu
        self._load = {identity: load for identity, load in self._load.items() if identity in cpu}

    def load(self, process: Process) -> float | None:
        """How many processors it used since the snapshot before; None when there was none."""
        return self._load.get(process.identity)

    def queue(self, queue: Shared) -> QueueRate:
        """What a queue does."""
        looks = self._queues[queue.segment, queue.place]
        last = looks[-1]
        first = next((each for each in looks if each.taken_ns >= last.taken_ns - _RATE_NS), last)
        seconds = (last.taken_ns - first.taken_ns) / 1e9
        put, got = ((last.put - first.put) / seconds, (last.got - first.got) / seconds) if seconds else (0.0, 0.0)
        if last.put == last.got:
            return QueueRate(put, got, None, False)
        # The oldest is number `got`: it came between the last look that had not seen it and the next.
        seen = next(each for each in looks if each.put > last.got)
        return QueueRate(put, got, (last.taken_ns - seen.taken_ns) / 1e9, seen is looks[0])
