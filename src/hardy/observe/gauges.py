"""OpenTelemetry's metrics of this program, read from its shared memory when somebody collects them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from hardy._core import look
from hardy.errors import ending_text
from hardy.observe.snapshot import Pool, Shared, Snapshot, Watcher

if TYPE_CHECKING:
    from opentelemetry import metrics

__all__ = ["register"]

# All instruments are asked one right after the other: one look for all.
_SAME_LOOK_S = 0.5


class _Program:
    """This process's program, as it is when it is asked for."""

    def __init__(self) -> None:
        self._watcher = Watcher()
        self._taken_s = 0.0
        self._snapshot: Snapshot | None = None
        self._pids: set[int] = set()
        self._ends: Counter[str] = Counter()
        self._counted: set[int] = set()

    def look(self) -> Snapshot:
        if self._snapshot is None or time.monotonic() - self._taken_s > _SAME_LOOK_S:
            self._snapshot = self._watcher.take()
            self._taken_s = time.monotonic()
            program = self._snapshot.program_of(os.getpid())
            self._pids = {each.pid for each in program.processes} if program is not None else set()
        return self._snapshot

    def processes(self) -> Counter[str]:
        program = self.look().program_of(os.getpid())
        return Counter(each.state for each in program.processes) if program is not None else Counter()

    def shared(self) -> list[Shared]:
        return [each for each in self.look().shared if self._pids & set(each.pids) and each.kind != "MessageRing"]

    def pools(self) -> list[Pool]:
        return [each for each in self.look().pools if self._pids & set(each.pids)]

    def ends(self) -> Counter[str]:
        """How many processes have ended in each way, as far as the board still knew at one of the looks."""
        ended = {row["identity"]: row["status"] for row in look.own_board() if row["has_ended"]}
        for identity in ended.keys() - self._counted:
            self._ends[_ending(ended[identity])] += 1
        self._counted = set(ended)
        return self._ends


def _ending(status: int | None) -> str:
    return "ended" if status is None else ending_text(os.waitstatus_to_exitcode(status))


def register(meter: metrics.Meter, is_on: Callable[[], bool]) -> None:
    """Make the instruments.

    Args:
        meter: whose they are.
        is_on: whether there is to be anything to be measured. A forked child, whatever it says, measures nothing: the
            program would be counted twice.
    """
    from opentelemetry.metrics import Observation

    program, pid = _Program(), os.getpid()

    def observe(read: Callable[[], Iterable[tuple[float, dict[str, Any]]]], options: Any) -> list[Observation]:
        if os.getpid() != pid or not is_on():
            return []
        return [Observation(value, about) for value, about in read()]

    def queues(fact: str) -> Iterable[tuple[float, dict[str, Any]]]:
        found = (each for each in program.shared() if "count" in each.facts)
        return [(each.facts[fact], {"hardy.queue": each.title}) for each in found]

    def pools(*names: str) -> Iterable[tuple[float, dict[str, Any]]]:
        return [
            (getattr(each, name), {"hardy.pool": each.title, "hardy.outcome": name})
            for each in program.pools()
            for name in names
        ]

    def waiters() -> Iterable[tuple[float, dict[str, Any]]]:
        return [(len(each.waits), {"hardy.object": each.title}) for each in program.shared() if each.waits]

    def counts(read: Callable[[], Counter[str]], by: str) -> Iterable[tuple[float, dict[str, Any]]]:
        return [(count, {by: what}) for what, count in read().items()]

    gauge, counter = meter.create_observable_gauge, meter.create_observable_counter
    for make, name, unit, read, text in (
        (gauge, "hardy.processes", "{process}", partial(counts, program.processes, "hardy.state"), "Living processes"),
        (counter, "hardy.process.ends", "{process}", partial(counts, program.ends, "hardy.ending"), "Ended processes"),
        (gauge, "hardy.queue.length", "{message}", partial(queues, "count"), "Messages in queues"),
        (counter, "hardy.queue.puts", "{message}", partial(queues, "put"), "Messages that were put into queues"),
        (counter, "hardy.queue.gets", "{message}", partial(queues, "got"), "Messages that were taken from queues"),
        (gauge, "hardy.waiters", "{thread}", waiters, "Threads that wait for a queue, a lock or the like"),
        (gauge, "hardy.pool.calls", "{call}", partial(pools, "queued", "running"), "Calls that pools have in hand"),
        (counter, "hardy.pool.ended", "{call}", partial(pools, "done", "failed"), "Calls of pools that have ended"),
    ):
        make(name, [partial(observe, read)], unit, text)
