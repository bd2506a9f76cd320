"""The future of one task: a `concurrent.futures.Future` that can also end what runs.

Its lock and lists are made when somebody first asks for them: that costs half of what a short task costs here, and most
futures have ended by then. Whoever waits makes the lock first, and then looks whether the task has ended; the collector
says that it has ended first, and then looks whether there is a lock. So one of them sees the other.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardy._exec.engine import Engine
    from hardy._exec.slot import Slot
    from hardy._exec.task import Task

__all__ = ["TaskFuture"]


_PENDING, _FINISHED = "PENDING", "FINISHED"


class _WhenAsked:
    """An attribute that is made when it is first asked for; of two threads that ask, both get the same."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self._name = name
        self._make = make

    def __get__(self, future: Any, kind: type) -> Any:
        future._asked = True
        return future.__dict__.setdefault(self._name, self._make())


class TaskFuture(concurrent.futures.Future[Any]):
    """What `submit` gives.

    Differs from the stdlib: `cancel` also ends a task that runs, by killing its worker, which is replaced;
    `running` is true only while the function itself runs; `progress`.
    """

    _engine: Engine
    # Until it has ended: the two refer to each other, and would wait for the collection of cycles.
    _task: Task | None = None
    _state: str
    _result: Any = None
    _exception: BaseException | None = None
    # Not looked for in `__dict__`, which would make one for each future.
    _asked = False
    _condition: Any = _WhenAsked("_condition", threading.Condition)
    _waiters: Any = _WhenAsked("_waiters", list)
    _done_callbacks: Any = _WhenAsked("_done_callbacks", list)

    def __init__(self) -> None:
        self._state = _PENDING

    def give(self, index: int, value: Any) -> None:
        """The task has ended."""
        self._result = value
        self._end()

    def give_many(self, index: int, values: list[Any]) -> None:
        """The task has ended; not used for one call."""
        self.give(index, values)

    def fail(self, index: int, error: BaseException) -> None:
        """The task has failed."""
        self._exception = error
        self._end()

    def _end(self) -> None:
        self._state = _FINISHED
        self._task = None
        if self._asked:
            self._tell()

    def _tell(self) -> None:
        """Those who have asked: that it has ended."""
        with self._condition:
            for waiter in self._waiters:
                if self._exception is None:
                    waiter.add_result(self)
                else:
                    waiter.add_exception(self)
            self._condition.notify_all()
        self._invoke_callbacks()  # type: ignore[attr-defined] # of the stdlib's future

    def result(self, timeout: float | None = None) -> Any:
        """What the task returned; waits for it.

        Raises:
            TimeoutError: it has not ended in time.
            CancelledError: it was cancelled.
            Exception: what it raised, or what became of it.
        """
        # One that has ended is not asked for its lock, which would have to be made.
        if self._state == _FINISHED and self._exception is None:
            return self._result
        try:
            return super().result(timeout)
        finally:
            del self  # the error's traceback has this frame, and the future has the error

    def done(self) -> bool:
        """Whether it has ended, or was cancelled."""
        return self._state == _FINISHED or super().done()

    def cancel(self) -> bool:
        """Have the task not run, or end it while it runs.

        Returns:
            Whether it was cancelled; False: it has ended already.
        """
        task = self._task
        if task is None or self.done() or not self._engine.cancel(task):
            return self.cancelled()
        return self.note_cancelled()

    def note_cancelled(self) -> bool:
        """The engine has given the task up: tell those who wait."""
        self._task = None
        super().cancel()
        return not self.set_running_or_notify_cancel()

    def running(self) -> bool:
        """Whether a worker runs it at this instant."""
        return self._worker() is not None

    def _worker(self) -> Slot | None:
        """Whose worker runs it at this instant."""
        task = self._task
        slot = task.slot if task is not None else None
        running = slot.desk.running() if slot is not None else None
        return slot if task is not None and running is not None and running[0] == task.id else None

    def progress(self) -> tuple[int, int] | None:
        """What the task said last by `hardy.progress(done, total)`; None when it has not, or does not run."""
        slot = self._worker()
        if slot is None:
            return None
        done, total = slot.desk.progress()
        return (done, total) if done or total else None
