"""What the collector does by the clock: time limits, memory limits, repetitions after a while."""

from __future__ import annotations

import heapq
import itertools
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hardy._exec import verdicts
from hardy._exec.slot import Doom

if TYPE_CHECKING:
    from hardy._exec.engine import Engine
    from hardy._exec.slot import Slot
    from hardy._exec.task import Task

__all__ = ["Watch"]

_MEMORY_EVERY_S = 0.02
# How often to look whether a task that was cancelled has begun, so that it can be ended.
_CONDEMNED_EVERY_S = 0.002
# The collector's own patience: it looks around this often.
_LONGEST_S = 1.0


class Watch:
    """The tasks that have limits, and those that are to be run again later. All of it with the engine's lock held."""

    def __init__(self, engine: Engine) -> None:
        # The engine has us: with a way back, its memory and its thread would wait for the collection of cycles.
        self._engine: Engine = weakref.proxy(engine)
        self._order = itertools.count()
        self._due: list[tuple[float, int, Task]] = []
        self._timed: set[int] = set()
        self._later: list[tuple[float, int, Task]] = []
        self._hungry: dict[int, Task] = {}
        self._next_memory_s = 0.0
        self._condemned: list[tuple[Slot, Task]] = []

    def follow(self, task: Task) -> None:
        """A task was given to a worker: see to its limits."""
        options = task.options
        if options.timeout is not None and task.id not in self._timed:
            self._timed.add(task.id)
            heapq.heappush(self._due, (time.monotonic() + options.timeout, next(self._order), task))
        if options.max_memory is not None:
            self._hungry[task.id] = task
        self._engine.wake()

    def later(self, task: Task, delay_s: float) -> None:
        """Run a task again after a while."""
        heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._order), task))

    def condemn(self, slot: Slot, task: Task) -> None:
        """End a task that its worker has taken: now if it runs, or else as soon as it does, unless it ends first."""
        if not self._is_dealt_with(slot, task):
            self._condemned.append((slot, task))

    def _is_dealt_with(self, slot: Slot, task: Task) -> bool:
        process = slot.process
        if slot.sent.get(task.id) is not task or slot.doom is not None:
            return True
        if process is None:
            return not slot.is_starting
        running = slot.desk.running()
        if running is None or running[0] != task.id or not slot.desk.doom(task.id, running[1]):
            return False
        slot.doom = Doom(task, running[1], None)
        process.kill()
        return True

    def forget_later(self) -> None:
        """Forget what is to be run again."""
        self._later.clear()

    def sleep_s(self) -> float:
        """How long the collector may sleep."""
        due = time.monotonic() + _LONGEST_S
        for heap in (self._due, self._later):
            if heap:
                due = min(due, heap[0][0])
        if self._hungry or (self._engine.peaks_untold and self._engine.tasks):
            due = min(due, self._next_memory_s)
        if self._condemned:
            due = min(due, time.monotonic() + _CONDEMNED_EVERY_S)
        return max(due - time.monotonic(), 0.0)

    def tick(self) -> list[Task]:
        """Do what is due; the tasks that are to be run again now."""
        now = time.monotonic()
        if self._condemned:
            self._condemned = [each for each in self._condemned if not self._is_dealt_with(*each)]
        while self._due and self._due[0][0] <= now:
            _, order, task = heapq.heappop(self._due)
            following = self._check_time(task, now)
            if following is None:
                self._timed.discard(task.id)
            else:
                heapq.heappush(self._due, (following, order, task))
        if now >= self._next_memory_s:
            self._next_memory_s = now + _MEMORY_EVERY_S
            if self._engine.peaks_untold:
                self._note_peaks()
            for task in list(self._hungry.values()):
                if not self._check_memory(task):
                    del self._hungry[task.id]
        ready = []
        while self._later and self._later[0][0] <= now:
            task = heapq.heappop(self._later)[2]
            if task.id in self._engine.tasks:
                ready.append(task)
        return ready

    def _is_given(self, task: Task) -> Slot | None:
        return task.slot if task.id in self._engine.tasks else None

    def _check_time(self, task: Task, now: float) -> float | None:
        """When to look at it again, or None."""
        slot, limit = self._is_given(task), task.options.timeout
        if slot is None or limit is None:
            return None
        running = slot.desk.running()
        if running is None or running[0] != task.id or slot.process is None or slot.doom is not None:
            return now + limit
        due = running[2] / 1e9 + limit
        if now < due:
            return due
        self._end(slot, task, running[1], partial(verdicts.too_late, task, slot.process))
        return now + limit

    def _check_memory(self, task: Task) -> bool:
        slot, limit = self._is_given(task), task.options.max_memory
        if slot is None or limit is None:
            return False
        running = slot.desk.running()
        if running is None or running[0] != task.id or slot.process is None or slot.doom is not None:
            return True
        used = verdicts.resident_bytes(slot.process.pid)
        slot.peak_bytes = max(slot.peak_bytes, used)
        if used > limit:
            self._end(slot, task, running[1], partial(verdicts.too_large, task, slot.process, used))
        return True

    def _note_peaks(self) -> None:
        for slot in self._engine.slots:
            if slot.process is not None and slot.sent:
                slot.peak_bytes = max(slot.peak_bytes, verdicts.peak_bytes(slot.process.pid))

    def _end(self, slot: Slot, task: Task, item: int, error: Callable[[], BaseException]) -> None:
        if slot.desk.doom(task.id, item):
            slot.doom = Doom(task, item, error)
            slot.process.kill()
