"""What the asynchronous methods of `Pool` give: results of one call, of many, and iterators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from multiprocessing.context import TimeoutError as PoolTimeoutError
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar

from hardy._exec.stream import Failed, StreamReader
from hardy.errors import ProcessExited

if TYPE_CHECKING:
    from hardy._exec.bar import Bar
    from hardy._exec.engine import Engine
    from hardy._exec.task import Task

__all__ = ["ApplyResult", "AsyncResult", "IMapIterator", "IMapUnorderedIterator", "MapResult"]

Callback = Callable[[Any], object]


class ApplyResult:
    """The result of one call, now or later.

    Differs from the stdlib: `cancel`, `cancelled` and `progress`; a call that cannot end ends with an error.
    """

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)
    # Of one call, until it has ended: the two refer to each other, and would wait for the collection of cycles.
    _task: Task | None = None
    _event: threading.Event | None = None

    def __init__(self, engine: Engine, callback: Callback | None, error_callback: Callback | None) -> None:
        self._engine = engine
        self._ended = False
        self._success = True
        self._value: Any = None
        self._callback = callback
        self._error_callback = error_callback
        self._cancelled = False

    def ready(self) -> bool:
        """Whether it has ended."""
        return self._ended

    def successful(self) -> bool:
        """Whether it ended without an error.

        Raises:
            ValueError: it has not ended.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._success

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end, for so many seconds at most."""
        self._await_end(timeout)

    def _await_end(self, timeout: float | None) -> bool:
        # The event is made by who first waits, and is looked for after the end was noted: one sees the other.
        if self._ended:
            return True
        event = self.__dict__.setdefault("_event", threading.Event())
        return self._ended or bool(event.wait(timeout))

    def get(self, timeout: float | None = None) -> Any:
        """What the call returned; waits for it.

        Raises:
            TimeoutError: it has not ended in time (`multiprocessing.TimeoutError`).
            WorkerDied: its worker was killed.
            CancelledError: it was cancelled.
            Exception: what it raised.
        """
        if not self._await_end(timeout):
            raise PoolTimeoutError
        if self._success:
            return self._value
        raise self._value

    def cancel(self) -> bool:
        """Have it not run, or end it while it runs; its worker is killed then, and replaced.

        Returns:
            Whether it was cancelled; False: it has ended already.
        """
        if self.ready():
            return self._cancelled
        if not self._cancel_tasks():
            return self._cancelled
        self._cancelled = True
        self._end(False, CancelledError())
        return True

    def _cancel_tasks(self) -> bool:
        task = self._task
        return task is not None and self._engine.cancel(task)

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled

    def progress(self) -> tuple[int, int] | None:
        """What the call said last by `hardy.progress(done, total)`; None when it has not, or does not run."""
        task = self._task
        slot = task.slot if task is not None else None
        running = slot.desk.running() if slot is not None else None
        if task is None or slot is None or running is None or running[0] != task.id:
            return None
        done, total = slot.desk.progress()
        return (done, total) if done or total else None

    def give(self, index: int, value: Any) -> None:
        """The call returned."""
        self._end(True, value)

    def give_many(self, index: int, values: list[Any]) -> None:
        """Items returned; not used for one call."""
        self._end(True, values)

    def fail(self, index: int, error: BaseException) -> None:
        """The call failed."""
        self._end(False, _not_an_exit(error))

    def _end(self, success: bool, value: Any) -> None:
        self._success, self._value = success, value
        callback = self._callback if success else self._error_callback
        try:
            if callback is not None:
                callback(value)
        finally:
            self._ended = True
            self._task = None
            if self._event is not None:
                self._event.set()


AsyncResult = ApplyResult


def _not_an_exit(error: BaseException) -> BaseException:
    """An error that may be raised in the parent: a task's `sys.exit` must not end it."""
    if isinstance(error, Exception):
        return error
    what = f"raised {error!r}"
    if isinstance(error, SystemExit):
        what = f"called sys.exit({error.code!r})"
    said = ProcessExited(
        f"a task {what}; its worker goes on, and so does this process. Return a value instead", name="", pid=None
    )
    said.code = getattr(error, "code", None)
    said.__cause__ = error.__cause__
    return said


class MapResult(ApplyResult):
    """The results of many items in one list; it fails with the first error, once all items have ended."""

    def __init__(
        self,
        engine: Engine,
        length: int,
        chunksize: int,
        callback: Callback | None,
        error_callback: Callback | None,
        bar: Bar | None = None,
    ) -> None:
        super().__init__(engine, callback, error_callback)
        self._value = [None] * length
        self._left = length
        self._chunksize = chunksize
        self._guard = threading.Lock()
        self._bar = bar
        self._error: BaseException | None = None
        if not length:
            self._end(True, self._value)

    @property
    def _number_left(self) -> int:
        """How many chunks have not ended; programs show their progress by it."""
        return -(-self._left // self._chunksize)

    def give(self, index: int, value: Any) -> None:
        """One item has returned."""
        self.give_many(index, [value])

    def give_many(self, index: int, values: list[Any]) -> None:
        """Items have returned."""
        self._value[index : index + len(values)] = values
        self._count(len(values))

    def fail(self, index: int, error: BaseException) -> None:
        """One item has failed."""
        if self._error is None:
            self._error = _not_an_exit(error)
        self._count(1)

    def _count(self, ended: int) -> None:
        with self._guard:
            self._left -= ended
            over = self._left == 0 and not self._cancelled
        if self._bar is not None:
            self._bar.advance(ended)
        if over:
            self._end(self._error is None, self._value if self._error is None else self._error)

    def _cancel_tasks(self) -> bool:
        with self._guard:
            if self._left == 0:
                return False
            self._cancelled = True
        self._engine.cancel_all(self)
        if self._bar is not None:
            self._bar.close()
        return True

    def progress(self) -> tuple[int, int] | None:
        """How many items have ended, of how many."""
        total = len(self._value) if isinstance(self._value, list) else 0
        return (total - self._left, total) if total else None


class IMapIterator(StreamReader):
    """The results of items, in the order of the items.

    Differs from the stdlib: no more items are taken from an input without a length than there are results to come;
    `close` cancels what has not ended.
    """

    def __iter__(self) -> IMapIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """The next result.

        Args:
            timeout: seconds to wait for it; None: no end.

        Raises:
            StopIteration: there are no more.
            TimeoutError: it was not ready in time (`multiprocessing.TimeoutError`).
            Exception: what the item raised. The next one can be asked for all the same.
        """
        if self._run:
            return self._run.pop()
        if self._stream is None:
            raise StopIteration
        try:
            run = self._stream.take(timeout)
        except StopIteration:
            self._stream = None
            raise
        except TimeoutError:
            raise PoolTimeoutError from None
        if isinstance(run, Failed):
            raise _not_an_exit(run.error)
        self._run = run[::-1]
        return self._run.pop()


class IMapUnorderedIterator(IMapIterator):
    """The results of items, as they are ready; else as `IMapIterator`."""
