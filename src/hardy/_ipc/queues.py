"""`Queue`, `SimpleQueue` and `JoinableQueue`: the standard meaning, over the ring of the core.

There is no feeder thread: an object is in the queue when `put` returns, and what cannot travel raises there.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import GenericAlias
from typing import Any, ClassVar

from hardy._core import runtime
from hardy._core.channel import Channel
from hardy._core.joinable import JoinableRing
from hardy._ipc.pickling import CODEC
from hardy._ipc.pollable import PollableReader, PuttingWriter, reader_of
from hardy._ipc.stream import Reader, nobody_can_put
from hardy._sync.cells import check_name
from hardy._sync.handles import PackedSegment, pack_segment, unpack_segment
from hardy._sync.owner import describe
from hardy.errors import Closed, TasksLost

__all__ = ["JoinableQueue", "Queue", "SimpleQueue", "check_bound", "check_maxsize"]

_LARGEST_BOUND = 2**63 - 1


def check_bound(name: str, value: Any, least: int = 0) -> int:
    """A bound of a queue as a non-negative int, 0 for none.

    Args:
        name: what the caller calls it.
        value: what the user gave.
        least: the smallest that is allowed; what is below 0 counts as none.

    Raises:
        TypeError: it is no int.
        ValueError: it is too small or too large.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = int(value.__index__())
    if not least <= number <= _LARGEST_BOUND:
        raise ValueError(f"{name} must be between {max(least, 0)} and {_LARGEST_BOUND}, not {number}")
    return max(number, 0)


def check_maxsize(value: Any) -> int:
    """A `maxsize`: as the stdlib, any negative number means no bound."""
    return check_bound("maxsize", value, -_LARGEST_BOUND)


class _RingQueue(Channel):
    """What the queues have in common: how they are made, named, sent and closed."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.closed:
            raise Closed(f"{self!r} is closed in this process and cannot be sent")
        return _rebuild, (type(self), pack_segment(self.segment), self.name, self.__dict__)

    def empty(self) -> bool:
        """Whether the queue is empty at this instant.

        Raises:
            Closed: this process has closed the queue.
        """
        if self.closed:
            raise Closed(f"{self!r} is closed in this process")
        return super().empty()

    def __repr__(self) -> str:
        uid = self.segment.uid
        if not uid:
            return f"<{type(self).__name__} that was never set up>"
        return f"<{type(self).__name__} {repr(self.name) if self.name else uid[:4].hex()}>"

    @property
    def _reader(self) -> PollableReader:
        """For code of the stdlib and of others that waits for a queue among other things."""
        return reader_of(self)

    @property
    def _writer(self) -> PuttingWriter:
        """For code that puts by the stdlib's inner name for it."""
        return PuttingWriter(self)

    def _nobody_can_put(self, who: int) -> bool:
        return nobody_can_put(self, Reader(who))

    def close(self) -> None:
        """This process is done with the queue: it can neither put nor get any more.

        A reader's loop (`for obj in queue`, or a blocked `get`) ends once the queue is empty and every process
        that could still put has closed it, ended, or waits as a reader itself; see docs/en/design/0001-queues.md.
        """
        self._close()

    def __iter__(self) -> Iterator[Any]:
        """Every object until the stream ends: the loop waits for objects, and ends as `close` says.

        After a `close` in this process, what is still in the queue is given out, and nothing is waited for.
        """
        while True:
            try:
                yield self._take_next()
            except Closed:
                return

    def _take_next(self) -> Any:
        return self._next()


def _rebuild(kind: type[_RingQueue], packed: PackedSegment, name: str | None, attributes: dict[str, Any]) -> _RingQueue:
    queue = kind.__new__(kind)
    queue._attach(unpack_segment(packed), CODEC, name)
    queue.__dict__.update(attributes)
    return queue


class Queue(_RingQueue):
    """A first-in first-out queue for any number of processes and threads; as `multiprocessing.Queue`.

    Args:
        maxsize: the most objects it holds; 0 or less: no bound.
        maxbytes: the most bytes of pickled objects it holds; 0: no bound.
        name: what errors call it.
        ctx: the context that makes it; any.

    Differs from the stdlib: an object is there when `put` returns; `qsize`, `empty` and `full` are exact; killed
    users do no harm; `put_many`, `get_many`, `aput`, `aget`, iteration.

    Raises:
        TypeError, ValueError: a bound is no int or too large.
        MemoryError, OSError: there is no memory or descriptor for it.
    """

    _joinable = False

    def __init__(self, maxsize: int = 0, *, maxbytes: int = 0, name: str | None = None, ctx: Any = None) -> None:
        bounds = check_maxsize(maxsize), check_bound("maxbytes", maxbytes)
        self._create(CODEC, *bounds, 0, self._joinable, check_name(name))

    def empty(self) -> bool:
        """Whether the queue is empty at this instant.

        Raises:
            Closed: this process has put into the queue and closed it; one that had not put may go on asking.
        """
        if self.closed and not self._has_put():
            return self.qsize() == 0
        return super().empty()

    def _has_put(self) -> bool:
        me = runtime.self_identity()
        return any(identity == me and has_put for identity, has_put, _, _, _ in self._users())

    def join_thread(self) -> None:
        """Nothing to wait for: there is no feeder thread. Kept so that programs run unchanged."""

    def cancel_join_thread(self) -> None:
        """Nothing to cancel: a process never waits at its end for its queues to drain."""

    async def aput(self, obj: Any) -> None:
        """`put` for asyncio: the loop goes on while the queue is full. A cancelled call has put nothing."""
        from hardy._ipc.aio import aput

        await aput(self, obj)

    async def aget(self, *, copy: bool = True) -> Any:
        """`get` for asyncio: the loop goes on while the queue is empty. A cancelled call has taken nothing."""
        from hardy._ipc.aio import aget

        return await aget(self, copy)


class JoinableQueue(JoinableRing, Queue):
    """A `Queue` that counts the objects not yet done with; as `multiprocessing.JoinableQueue`.

    Differs from the stdlib: a process that ends between `get` and `task_done` does not make `join` wait for ever;
    `join` then raises `TasksLost`.
    """

    _joinable = True

    def task_done(self) -> None:
        """Say that an object taken from the queue is done with.

        Raises:
            ValueError: called more often than there were objects.
        """
        self._task_done()

    def join(self, timeout: float | None = None) -> None:
        """Wait until every object that was put is done with.

        Args:
            timeout: seconds to wait at most; None: no end.

        Raises:
            TasksLost: a process ended without `task_done` for objects that it had taken. They are written off: call
                `join` again to wait for the rest.
            TimeoutError: it took longer.
        """
        lost = self._join(timeout)
        if lost is False:
            raise TimeoutError(f"{self!r} has unfinished objects after {timeout} s")
        if lost is None:
            return
        identity, items = lost
        who = describe(identity)
        error = TasksLost(
            f"{who.text} ended with {items} object(s) of {self!r} in hand and no task_done() for them. They are "
            "written off; call join() again to wait for the rest, or use TaskQueue, which gives them to another",
            name=who.name,
            pid=who.pid,
            signal=who.signal,
            exitcode=who.exitcode,
        )
        error.items = items
        raise error


class SimpleQueue(_RingQueue):
    """A queue with `put`, `get` and `empty`; as `multiprocessing.SimpleQueue`.

    Args:
        name: what errors call it.
        ctx: the context that makes it; any.
    """

    def __init__(self, *, name: str | None = None, ctx: Any = None) -> None:
        self._create(CODEC, 0, 0, 0, False, check_name(name))
