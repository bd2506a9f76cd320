"""A place for a worker: its ring and its desk, which stay, and its process, which may be replaced."""

from __future__ import annotations

from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any

from hardy._core.desk import Desk
from hardy._exec.wire import TASK, Kind, MessageRing

if TYPE_CHECKING:
    from hardy._exec.task import Task

__all__ = ["Doom", "Slot"]

# How many tasks one worker is given ahead. Many, while they are so short that a worker would wait for more; few,
# when each takes long: then another worker that becomes free should have them.
_FIRST_DEPTH = 8
_LEAST_DEPTH = 2
_MOST_DEPTH = 1024
_MOST_BYTES = 16 << 20
_LONG_S = 0.005


class Doom:
    """Why the parent kills a worker.

    Attributes:
        task, item: the item that is to end.
        error: makes the error for it; None: it was cancelled, and whoever cancelled it has told.
    """

    def __init__(self, task: Task, item: int, error: Callable[[], BaseException] | None) -> None:
        self.task = task
        self.item = item
        self.error = error


class Slot:
    """One worker's place.

    Attributes:
        index: which desk it has.
        ring: its tasks.
        desk: what it has in hand.
        process: the worker; None when there is none.
        sent: the tasks that it was given and that have not ended, in the order of the ring.
        nbytes: their size.
        doom: why it is being killed, or None.
        overdue: number of the task that it was to take next when it was last looked at, having nothing in hand.
        peak_bytes: the most memory that its worker was seen to have.
    """

    __slots__ = (
        "depth",
        "desk",
        "doom",
        "heard_s",
        "index",
        "is_starting",
        "nbytes",
        "overdue",
        "peak_bytes",
        "process",
        "ring",
        "sent",
    )

    def __init__(self, index: int, ring: MessageRing, desk: Desk) -> None:
        self.index = index
        self.ring = ring
        self.desk = desk
        self.process: Any = None
        self.is_starting = False
        self.sent: dict[int, Task] = {}
        self.nbytes = 0
        self.depth = _FIRST_DEPTH
        self.doom: Doom | None = None
        self.heard_s = 0.0
        self.overdue: int | None = None
        self.peak_bytes = 0

    def has_room(self) -> bool:
        """Whether it may be given one more task."""
        return len(self.sent) < self.depth and (self.nbytes < _MOST_BYTES or len(self.sent) < _LEAST_DEPTH)

    def put(self, task: Task) -> None:
        """Give it a task.

        Raises:
            MemoryError, OSError: there is no memory for it; nothing was put.
        """
        self.sent[task.id] = task
        self.nbytes += task.nbytes
        task.slot = self
        try:
            self.ring.put(task.message, False)
        except BaseException:
            self.forget(task)
            raise

    def forget(self, task: Task) -> None:
        """A task that it was given has ended, or is given to another."""
        del self.sent[task.id]
        self.nbytes -= task.nbytes
        task.slot = None

    def note(self, ended: int, now_s: float) -> None:
        """So many of its tasks have ended at once: adapt how many it is given ahead."""
        if ended * 2 >= self.depth:
            self.depth = min(self.depth * 4, _MOST_DEPTH)
        elif ended == 1 and now_s - self.heard_s > _LONG_S:
            self.depth = _LEAST_DEPTH
        self.heard_s = now_s

    def take_back(self, most: int) -> list[Task]:
        """The oldest of the tasks that the worker has not taken, which are no longer its own."""
        back = []
        for message in self._messages(most):
            task = self.sent.get(_number(message))
            if task is not None:
                self.forget(task)
                back.append(task)
        return back

    def is_overdue(self) -> bool:
        """Whether its worker has nothing in hand, and has not taken what it had to take at the last look either.

        It is stopped, or has not begun yet.
        """
        first = next(iter(self.sent), None)
        running = self.desk.running()
        if first is None or self.process is None or (running is not None and running[0] in self.sent):
            self.overdue = None
            return False
        before, self.overdue = self.overdue, first
        return before == first

    def in_hand(self) -> list[Task]:
        """Of a worker that is dead, and whose results are all settled: the tasks that it had taken, at most one.

        The others stay in the ring, for the next worker.
        """
        waiting = self._messages(len(self.sent) + 2)
        numbers = {_number(message) for message in waiting}
        for message in waiting:
            if _number(message) in self.sent:
                self.ring.put(message, False)
        return [task for number, task in self.sent.items() if number not in numbers]

    def _messages(self, most: int) -> list[Any]:
        try:
            return self.ring.get_many(most, False)
        except Empty:
            return []

    def stop(self) -> None:
        """Let the worker end once it has dealt with what it was given."""
        self.ring.put(TASK.pack(0, Kind.STOP, 0), False)


def _number(message: Any) -> int:
    data = message if type(message) is bytes else message.data
    number, _, _ = TASK.unpack_from(data, len(data) - TASK.size)
    return int(number)
