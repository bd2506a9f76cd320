"""`TaskQueue`: what a dead consumer held goes to another."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from queue import Empty
from types import TracebackType
from typing import Any, Generic, TypeVar

from hardy._core.tasks import Hold, LeaseRing
from hardy._ipc.pickling import CODEC
from hardy._ipc.queues import _RingQueue, check_bound, check_maxsize
from hardy._sync.cells import check_name
from hardy.errors import CannotUnpickle, Closed

__all__ = ["DeadLetter", "Lease", "TaskQueue"]

T = TypeVar("T")


class Lease(Generic[T]):
    """One item that this process holds, until it acknowledges it, gives it back, or dies.

    As a context manager it gives the item, acknowledges it at the end of the block, and gives it back when the
    block raises.

    Attributes:
        item: what was put.
        deliveries: how often it was given out, this time included; above 1, an earlier holder died or gave it back.
        sender: pid of the process that put it.
    """

    def __init__(self, queue: TaskQueue[T], hold: Hold, item: T) -> None:
        self.item = item
        self._queue = queue
        self._hold = hold
        self._pid = os.getpid()

    @property
    def deliveries(self) -> int:
        return self._hold.deliveries

    @property
    def sender(self) -> int:
        return self._hold.sender

    def ack(self) -> None:
        """The item is done with.

        Raises:
            LeaseLost: this process does not hold it (any more).
        """
        self._queue._ack(self._hold)

    def nack(self) -> None:
        """Give the item back: another `take` gets it, or after `max_deliveries` the dead letters.

        Raises:
            LeaseLost: this process does not hold it (any more).
        """
        self._queue._nack(self._hold, False)

    def __enter__(self) -> T:
        return self.item

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._hold.is_open:
            return
        if kind is None:
            self.ack()
        else:
            self.nack()

    def __del__(self) -> None:
        # A lease that is forgotten must not hold its item for as long as the process lives.
        hold = getattr(self, "_hold", None)
        if hold is not None and hold.is_open and self._pid == os.getpid():
            warnings.warn(
                f"a lease of {self._queue!r} was dropped without ack() or nack(); its item was given back",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
            self.nack()

    def __repr__(self) -> str:
        return f"<Lease of {self.item!r:.60}, delivery {self.deliveries}>"


class DeadLetter(Generic[T]):
    """An item that was given out too often, or that could not be rebuilt.

    Attributes:
        item: what was put; None when it cannot be rebuilt (see `error`).
        deliveries: how often it was given out.
        error: why it cannot be rebuilt, or None.
    """

    def __init__(self, item: T | None, deliveries: int, error: CannotUnpickle | None) -> None:
        self.item = item
        self.deliveries = deliveries
        self.error = error

    def __repr__(self) -> str:
        return f"<DeadLetter {self.error or self.item!r:.60}, {self.deliveries} deliveries>"


# LeaseRing comes first: the interpreter takes tp_new, and with it Cython's table of C methods, from the first base.
class TaskQueue(LeaseRing, _RingQueue, Generic[T]):
    """A first-in first-out queue whose items are leased, not taken: delivered at least once.

    `with tasks.take() as item:` holds an item until the block ends. If the holder dies, by whatever signal, the item
    goes to the next who takes, with its `deliveries` counted up; after `max_deliveries` it goes to the dead letters.

    Args:
        maxsize: the most items that wait; 0 or less: no bound. Leased items do not count.
        maxbytes: the most bytes that wait; 0: no bound.
        max_deliveries: how often one item is given out at most; 0: no bound.
        name: what errors call it.
        ctx: the context that makes it; any.

    Raises:
        TypeError, ValueError: a bound is no int or too large.
    """

    def __init__(
        self, maxsize: int = 0, *, maxbytes: int = 0, max_deliveries: int = 0, name: str | None = None, ctx: Any = None
    ) -> None:
        deliveries = check_bound("max_deliveries", max_deliveries)
        if deliveries >= 2**32:
            raise ValueError(f"max_deliveries must be below 2**32, not {deliveries}")
        self._create(
            CODEC, check_maxsize(maxsize), check_bound("maxbytes", maxbytes), deliveries, False, check_name(name)
        )

    def take(self, block: bool = True, timeout: float | None = None) -> Lease[T]:
        """A lease of the oldest item; items that came back go first.

        Args:
            block: wait while there is none.
            timeout: seconds to wait at most; None: no end.

        Raises:
            queue.Empty: there was none in time.
            Closed: this process has closed the queue; or nothing is left and nobody could put.
            CannotUnpickle: the item cannot be rebuilt here; it is among the dead letters now.
        """
        return self._lease(block, timeout, loop=False)

    def _lease(self, block: bool, timeout: float | None, loop: bool) -> Lease[T]:
        hold, item = self._take(False, block, timeout, loop)
        if isinstance(item, CannotUnpickle):
            self._bury(hold)
            raise item
        return Lease(self, hold, item)

    def take_nowait(self) -> Lease[T]:
        """`take(block=False)`."""
        return self.take(False)

    def _take_next(self) -> Any:
        return self._lease(True, None, loop=True)

    def __iter__(self) -> Iterator[Lease[T]]:
        """A lease of every item until the stream ends; see `close`."""
        return super().__iter__()

    def get(self, block: bool = True, timeout: float | None = None, *, copy: bool = True) -> T:
        """The oldest item, acknowledged at once: as a plain queue. Raises as `take`.

        An item is copied, whatever `copy` says: until it is acknowledged it may have to go to another.
        """
        with self.take(block, timeout) as item:
            return item

    def get_many(
        self, max_items: int = 128, block: bool = True, timeout: float | None = None, *, copy: bool = True
    ) -> list[T]:
        """Up to `max_items` items, acknowledged at once. Raises as `take`, and TypeError or ValueError."""
        if isinstance(max_items, bool) or not isinstance(max_items, int):
            raise TypeError(f"max_items must be an int, not {type(max_items).__name__}")
        if max_items < 1:
            raise ValueError(f"max_items must be at least 1, not {max_items}")
        items = [self.get(block, timeout)]
        while len(items) < max_items:
            try:
                items.append(self.get(False))
            except (Empty, Closed):
                break
        return items

    def join(self, timeout: float | None = None) -> None:
        """Wait until every item was acknowledged or is a dead letter.

        Args:
            timeout: seconds to wait at most; None: no end.

        Raises:
            TimeoutError: it took longer.
        """
        if not self._join(timeout):
            raise TimeoutError(f"{self!r} has items that wait or are leased after {timeout} s")

    def leased(self) -> int:
        """How many items are held now by living processes."""
        leased: int = self._tally()[0]
        return leased

    def returned(self) -> int:
        """How many items wait to be given out again."""
        returned: int = self._tally()[1]
        return returned

    def dead_letters(self, clear: bool = False) -> list[DeadLetter[T]]:
        """The items that were given out too often, or that could not be rebuilt; the oldest first.

        Args:
            clear: take them out of the queue; else they stay.
        """
        held: list[tuple[Hold, Any]] = []
        try:
            while True:
                held.append(self._take(True, False, None))
        except Empty:
            return [_letter(hold, item) for hold, item in held]
        finally:
            for hold, _ in held:
                if clear:
                    self._ack(hold)
                else:
                    self._bury(hold, undo=True)


def _letter(hold: Hold, item: Any) -> DeadLetter[Any]:
    error = item if isinstance(item, CannotUnpickle) else None
    # This look at it was no delivery.
    return DeadLetter(None if error else item, hold.deliveries - 1, error)
