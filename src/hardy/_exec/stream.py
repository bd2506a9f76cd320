"""Results of items that are taken from an iterator only so far ahead as there is a bound.

Whoever takes a result has the next items taken from the input, in his own thread: there is no thread that an input
without end could run away in, or in which somebody else's generator could hang the pool.
"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from hardy._exec.engine import State
from hardy._exec.errors import AnyTimeout
from hardy.errors import Closed

if TYPE_CHECKING:
    from hardy._exec.bar import Bar
    from hardy._exec.engine import Engine
    from hardy._exec.task import Task

__all__ = ["Failed", "Stream", "StreamReader", "look_ahead"]

# Items that are in work or wait to be taken, for each worker; enough for short ones.
_AHEAD = 16
_LEAST_AHEAD = 64


def look_ahead(inputs: Iterable[Any], workers: int, chunksize: int, buffersize: int | None) -> int | None:
    """How many items may be on their way at once; None: all, for inputs that have a length.

    Raises:
        TypeError, ValueError: `buffersize` is no positive int.
    """
    if buffersize is not None:
        if isinstance(buffersize, bool) or not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        return buffersize * chunksize
    if all(hasattr(each, "__len__") for each in inputs):
        return None
    return max(_LEAST_AHEAD, _AHEAD * workers) * chunksize


class Failed:
    """The place of an item that raised.

    Attributes:
        error: what it raised.
    """

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class Stream:
    """A sink whose results are taken run by run: lists of values that came together, or a failure.

    Args:
        engine: what runs the tasks.
        make: makes a task for items, from this, the index of the first and a list of them.
        inputs: the items.
        chunksize: how many go into a task.
        ordered: whether results come in the order of the items, or as they are ready.
        ahead: how many items may be on their way; None: all.
        bar: shows how many items have ended.
    """

    def __init__(
        self,
        engine: Engine,
        make: Callable[[Stream, int, list[Any]], Task],
        inputs: Iterator[Any],
        chunksize: int,
        ordered: bool,
        ahead: int | None,
        bar: Bar | None = None,
    ) -> None:
        self._engine = engine
        self._make = make
        self._inputs: Iterator[Any] | None = inputs
        self._chunksize = chunksize
        self._ordered = ordered
        self._ahead = ahead
        self._bar = bar
        self._ended = 0
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)
        self._pulling = threading.Lock()
        # By index when they must be put into order.
        self._unordered: dict[int, list[Any] | Failed] = {}
        self._ready: collections.deque[list[Any] | Failed] = collections.deque()
        self._following = 0
        self._issued = 0
        self._given = 0
        self._length: int | None = None
        self._dropped = False
        engine.feeds.append(self)
        self._pull()

    # ---- what the collector tells ----

    def give(self, index: int, value: Any) -> None:
        """One item has ended."""
        self._add(index, [value], 1)

    def give_many(self, index: int, values: list[Any]) -> None:
        """Items have ended."""
        self._add(index, values, len(values))

    def fail(self, index: int, error: BaseException) -> None:
        """One item has failed."""
        self._add(index, Failed(error), 1)

    def _add(self, index: int, run: list[Any] | Failed, count: int) -> None:
        with self._change:
            if self._dropped:
                return
            if not self._ordered:
                self._ready.append(run)
            else:
                self._unordered[index] = run
                while (following := self._unordered.pop(self._following, None)) is not None:
                    self._ready.append(following)
                    self._following += 1 if isinstance(following, Failed) else len(following)
            self._change.notify_all()
        if self._bar is not None:
            self._bar.advance(count)
            self._ended += count
            self._close_bar_at_end()

    def _close_bar_at_end(self) -> None:
        if self._bar is not None and (self._dropped or self._ended == self._length):
            self._bar.close()

    # ---- what the consumer takes ----

    def take(self, timeout: float | None) -> list[Any] | Failed:
        """What the next items returned, or how the next one failed.

        Raises:
            StopIteration: there are no more.
            TimeoutError: none was ready in time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        if not self._ready:
            self._pull()
        with self._change:
            while not self._ready:
                if self._given == self._length or self._dropped:
                    raise StopIteration
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    raise AnyTimeout("the next result was not ready in time")
                self._change.wait(left)
            taken = self._ready.popleft()
            self._given += 1 if isinstance(taken, Failed) else len(taken)
        self._pull()
        return taken

    @property
    def is_begun(self) -> bool:
        """Whether a result was taken."""
        return self._given > 0

    def drop(self) -> None:
        """Nobody wants the results: cancel what has not ended."""
        with self._change:
            self._dropped = True
            over = self._inputs is None and self._given == self._length
            self._ready.clear()
            self._unordered.clear()
            self._change.notify_all()
        self._finish_inputs()
        self._close_bar_at_end()
        if not over:
            self._engine.cancel_all(self)

    def abandon(self) -> None:
        """As `drop`, by the collector: from a finalizer, which may run inside of anything."""
        if not self._dropped and not (self._inputs is None and self._given == self._length):
            self._engine.orphans.append(self)
            self._engine.wake()

    def finish(self) -> None:
        """Before the pool's end is waited for: take all items that there are, or none if it was begun to be read.

        Whoever took some results, and waits for the pool's end, may have an input without end.
        """
        if self._inputs is None:
            return
        if self.is_begun:
            with self._pulling:
                if self._inputs is not None:
                    self._end_with(
                        Closed(
                            "the pool was joined before all of the input was taken; the items that were taken have "
                            "their results, and there are no more. Read all results before join()"
                        )
                    )
        else:
            self._ahead = None
            self._pull()

    # ---- the inputs ----

    def _pull(self) -> None:
        """Take items as far ahead as is allowed."""
        if self._inputs is None or not self._pulling.acquire(blocking=False):
            return
        try:
            while self._inputs is not None and (self._ahead is None or self._issued - self._given < self._ahead):
                if not self._pull_one():
                    return
        finally:
            self._pulling.release()

    def _pull_one(self) -> bool:
        assert self._inputs is not None
        try:
            chunk = list(islice(self._inputs, self._chunksize))
        except Exception as error:
            self._end_with(error)
            return False
        if not chunk:
            self._end_with(None)
            return False
        base = self._issued
        self._issued += len(chunk)
        try:
            self._engine.submit(self._make(self, base, chunk), begun=True)
        except Exception as error:
            for index in range(base, base + len(chunk)):
                self.fail(index, error)
            if self._engine.state != State.OPEN or self._engine.broken is not None:
                self._end_with(None)
                return False
        return True

    def _end_with(self, error: Exception | None) -> None:
        """There are no more items; the error takes the place of the next one."""
        self._finish_inputs()
        if error is not None:
            self._issued += 1
        with self._change:
            self._length = self._issued
            self._change.notify_all()
        if error is not None:
            self.fail(self._issued - 1, error)
        self._close_bar_at_end()

    def _finish_inputs(self) -> None:
        self._inputs = None
        try:
            self._engine.feeds.remove(self)
        except ValueError:
            return  # it was taken out already
        if self._engine.state != State.OPEN:
            self._engine.wake()


class StreamReader:
    """One who reads a stream, and what it leaves when it is closed or forgotten."""

    def __init__(self, stream: Stream) -> None:
        self._stream: Stream | None = stream
        # Of the results that came together, those that are still to be given, the last one first.
        self._run: list[Any] = []

    def close(self) -> None:
        """No more results are wanted: what has not ended is cancelled."""
        stream, self._stream = self._stream, None
        self._run = []
        if stream is not None:
            stream.drop()

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        # As with the stdlib, what nobody has begun to read is run all the same.
        if stream is not None and stream.is_begun:
            stream.abandon()
