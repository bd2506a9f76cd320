"""The future of one task: a `concurrent.futures.Future` that can also end what runs."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardy._exec.engine import Engine
    from hardy._exec.task import Task

__all__ = ["TaskFuture"]


class TaskFuture(concurrent.futures.Future[Any]):
    """What `submit` gives.

    Differs from the stdlib: `cancel` also ends a task that runs, by killing its worker, which is replaced;
    `running` is true only while the function itself runs; `progress`.
    """

    _engine: Engine
    _task: Task

    def give(self, index: int, value: Any) -> None:
        """The task has ended."""
        self.set_result(value)

    def give_many(self, index: int, values: list[Any]) -> None:
        """The task has ended; not used for one call."""
        self.set_result(values)

    def fail(self, index: int, error: BaseException) -> None:
        """The task has failed."""
        self.set_exception(error)

    def cancel(self) -> bool:
        """Have the task not run, or end it while it runs.

        Returns:
            Whether it was cancelled; False: it has ended already.
        """
        if self.done():
            return self.cancelled()
        if not self._engine.cancel(self._task):
            return self.cancelled()
        return self.note_cancelled()

    def note_cancelled(self) -> bool:
        """The engine has given the task up: tell those who wait."""
        super().cancel()
        return not self.set_running_or_notify_cancel()

    def running(self) -> bool:
        """Whether a worker runs it at this instant."""
        return not self.done() and self._in_hand()

    def _in_hand(self) -> bool:
        slot = self._task.slot
        running = slot.desk.running() if slot is not None else None
        return running is not None and running[0] == self._task.id

    def progress(self) -> tuple[int, int] | None:
        """What the task said last by `hardy.progress(done, total)`; None when it has not, or does not run."""
        slot = self._task.slot
        if slot is None or not self._in_hand():
            return None
        done, total = slot.desk.progress()
        return (done, total) if done or total else None
