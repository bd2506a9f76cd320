"""Which worker gets which task: the part of the engine that hands out, and that tells of what cannot be handed out."""

from __future__ import annotations

import collections
import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from hardy._core.desk import Tally
from hardy._exec.slot import Slot
from hardy._exec.task import Task
from hardy._exec.watch import Watch

__all__ = ["Sharing"]


class Sharing:
    """The tasks that wait, and the workers that have room. All of it is guarded by `_lock`.

    Attributes:
        title: what errors call the pool.
        slots: the workers' places.
        tasks: all that have not ended, by number.
        watch: sees to the limits of those that a worker has.
        tally: counts calls and what became of them, for those who look from outside.
    """

    title: str
    slots: list[Slot]
    tasks: dict[int, Task]
    watch: Watch
    tally: Tally
    _lock: threading.Lock

    def __init__(self) -> None:
        self._pending: collections.deque[Task] = collections.deque()
        # Ordered sets: workers with nothing to do, workers with something and room for more.
        self._idle: dict[Slot, None] = {}
        self._roomy: dict[Slot, None] = {}

    def _give(self, slot: Slot, task: Task) -> None:
        slot.put(task)
        if slot.has_room():
            self._roomy[slot] = None
        else:
            self._roomy.pop(slot, None)
        if task.options.is_watched:
            self.watch.follow(task)

    def file(self, slot: Slot) -> None:
        """With the lock held: put a slot where it belongs: among the idle, the roomy, or neither."""
        self._idle.pop(slot, None)
        self._roomy.pop(slot, None)
        if slot.process is None and not slot.is_starting:
            return
        if not slot.sent:
            if slot.process is None or not slot.desk.is_ready():
                # The last to be taken: a worker that is there already is quicker, and of several the oldest.
                self._idle = {slot: None, **self._idle}
            else:
                self._idle[slot] = None
        elif slot.has_room():
            self._roomy[slot] = None

    def share_out(self) -> list[tuple[Task, BaseException]]:
        """With the lock held: give what waits to those who have room, and to the idle what others have too much of.

        Returns:
            the tasks that could not be given, each with the reason; `tell_late` is to be called with them.
        """
        late: list[tuple[Task, BaseException]] = []
        pending = self._pending
        while pending and (self._idle or self._roomy):
            task = pending.popleft()
            if task.id in self.tasks:
                self._try_give(task, late)
        if self._idle and not pending and len(self._idle) < len(self.slots):
            self._take_from_the_rich(late)
        return late

    def _try_give(self, task: Task, late: list[tuple[Task, BaseException]]) -> None:
        if not self._idle and not self._roomy:
            self._pending.append(task)
            return
        slot = self._idle.popitem()[0] if self._idle else next(iter(self._roomy))
        try:
            self._give(slot, task)
        except (MemoryError, OSError, ValueError) as error:
            self.tasks.pop(task.id, None)
            self.file(slot)
            late.append((task, error))

    def _take_from_the_rich(self, late: list[tuple[Task, BaseException]]) -> None:
        rich = max(self.slots, key=_riches)
        extra = len(rich.sent) - 1
        back = rich.take_back(max(1, extra // 2)) if extra > 0 else []
        if back:
            self.file(rich)
        for task in back:
            self._try_give(task, late)

    def rescue(self) -> None:
        """Now and then: give the idle what others do not come to take."""
        if not self._idle or not self.tasks:
            return
        late: list[tuple[Task, BaseException]] = []
        with self._lock:
            for slot in self.slots:
                if self._idle and slot.is_overdue():
                    back = slot.take_back(len(slot.sent))
                    self._roomy.pop(slot, None)
                    for task in back:
                        self._try_give(task, late)
                    if not slot.sent:
                        self._idle = {slot: None, **self._idle}
        self.tell_late(late)

    def tell_late(self, late: list[tuple[Task, BaseException]]) -> None:
        """With no lock held: tell of tasks that could not be given to a worker."""
        for task, error in late:
            self.fail(task, range(task.next, task.count), error)
            task.release()

    def fail(self, task: Task, which: Sequence[int], error: BaseException) -> None:
        """Tell a task's sink that items of it failed."""
        self.tally.failed(len(which))
        for item in which:
            self.tell(task.sink.fail, task.base + item, error)

    def tell(self, told: Callable[[int, Any], None], index: int, what: Any) -> None:
        """Call a sink; what a callback of the user's raises is logged, and stops nobody."""
        try:
            told(index, what)
        except Exception:
            # Its text alone: a record with the frames would keep the pool's memory.
            logging.getLogger("hardy").error("a callback of %s raised\n%s", self.title, traceback.format_exc())


def _riches(slot: Slot) -> int:
    return len(slot.sent)
