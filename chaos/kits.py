"""The libraries under test, each as a kit: how it makes a process, a queue, a lock."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import time
from collections.abc import Callable, Sequence
from typing import Any

from chaos.plan import Plan

HARDY_QUEUES = ("Queue", "SimpleQueue", "JoinableQueue", "TaskQueue", "put_many/get_many", "large messages")
HARDY_LOCKS = (
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
    "RWLock",
    "NamedLock",
)
# As they are in the table.
LABELS = {
    "hardy": "hardy",
    "mp": "multiprocessing",
    "faster-fifo": "faster-fifo",
    "mp-pool": "multiprocessing.Pool",
    "futures": "ProcessPoolExecutor",
    "loky": "loky",
    "pebble": "pebble",
}
_BOUND = 64
# What an empty queue of hardy may keep.
EMPTY_BYTES = 2 << 20


class Kit:
    """What a world is made with.

    Attributes:
        subjects: what can be shared.
        nests: whether its processes may start processes, by any start method.
    """

    subjects: tuple[str, ...] = ()
    nests = False

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def process(self, target: Callable[..., Any], args: Sequence[Any], name: str) -> Any:
        """A process, not yet started."""
        raise NotImplementedError

    def make(self, subject: str) -> Any:
        """The shared object."""
        raise NotImplementedError

    def wait(self, processes: list[Any], timeout_s: float) -> None:
        """Until one of them ends."""
        multiprocessing.connection.wait([each.sentinel for each in processes], timeout_s)

    def check_verdict(self, process: Any) -> str:
        """What is wrong with what the library says of a process that ended; "" for nothing."""
        return ""

    def get_briefly(self, shared: Any) -> Any:
        """An item, or queue.Empty soon."""
        if self.plan.subject != "SimpleQueue":
            return shared.get(timeout=0.3)
        if shared.empty():
            raise queue.Empty
        return shared.get()

    def bytes_left(self, shared: Any) -> int:
        """Bytes of an empty queue."""
        return 0


class HardyKit(Kit):
    """hardy by its public names."""

    subjects = HARDY_QUEUES + HARDY_LOCKS
    nests = True

    def __init__(self, plan: Plan) -> None:
        import hardy

        super().__init__(plan)
        self._hardy = hardy
        self._context: Any = hardy.get_context(plan.method)

    def process(self, target: Callable[..., Any], args: Sequence[Any], name: str) -> Any:
        return self._context.Process(target=target, args=args, name=name)

    def make(self, subject: str) -> Any:
        context, hardy = self._context, self._hardy
        if subject == "NamedLock":
            return hardy.NamedLock(f"chaos-{os.getpid()}")
        if subject == "Barrier":
            return hardy.Barrier(4, name="barrier")
        if subject in ("Semaphore", "BoundedSemaphore"):
            return getattr(context, subject)(2 if subject == "Semaphore" else 3)
        if subject == "put_many/get_many":
            return hardy.Queue(512)
        if subject == "large messages":
            return hardy.Queue(maxbytes=(64 if self.plan.limits else 24) << 20)
        if subject == "SimpleQueue":
            return context.SimpleQueue()
        if subject == "TaskQueue":
            return hardy.TaskQueue(_BOUND)
        if subject in HARDY_QUEUES:
            return getattr(context, subject)(_BOUND)
        return getattr(hardy, subject)()

    def check_verdict(self, process: Any) -> str:
        """A killed process raises ProcessDied that names it."""
        error = process.exception(timeout=5)
        code = process.exitcode
        if code < 0 and not (
            isinstance(error, self._hardy.ProcessDied)
            and error.pid == process.pid
            and error.signal == -code
            and process.name in str(error)
        ):
            # Killed after it had given its result: that is what it gave.
            return "" if error is None else f"{process.name}, exit code {code}, gives {error!r}"
        return ""

    def bytes_left(self, shared: Any) -> int:
        if self.plan.subject not in HARDY_QUEUES:
            return 0
        # A waiting reader gives memory back, some at a time.
        end = time.monotonic() + 5
        nbytes: int = shared.segment.allocated_bytes()
        while nbytes > EMPTY_BYTES and time.monotonic() < end:
            if self.plan.subject == "SimpleQueue":
                break  # it has no get that ends
            try:
                shared.get(timeout=0.05)
            except queue.Empty:
                nbytes = shared.segment.allocated_bytes()
        return nbytes


class StdlibKit(Kit):
    """The standard library's multiprocessing."""

    subjects: tuple[str, ...] = (
        "Queue",
        "SimpleQueue",
        "JoinableQueue",
        "Lock",
        "RLock",
        "Semaphore",
        "Condition",
        "Event",
        "Barrier",
    )

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._context: Any = multiprocessing.get_context("fork")

    def process(self, target: Callable[..., Any], args: Sequence[Any], name: str) -> Any:
        return self._context.Process(target=target, args=args, name=name)

    def make(self, subject: str) -> Any:
        if subject == "Barrier":
            return self._context.Barrier(4)
        if subject == "Semaphore":
            return self._context.Semaphore(2)
        if subject in ("Queue", "JoinableQueue"):
            return getattr(self._context, subject)(_BOUND)
        return getattr(self._context, subject)()


class FasterFifoKit(StdlibKit):
    """faster-fifo's queue between the standard library's processes."""

    subjects = ("Queue", "put_many/get_many")

    def make(self, subject: str) -> Any:
        import faster_fifo

        return _FasterFifo(faster_fifo.Queue(1 << 20))


class _FasterFifo:
    """Waits without end, as the other queues do when not told otherwise."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def put(self, obj: Any) -> None:
        self._queue.put(obj, timeout=1e6)

    def get(self, timeout: float = 1e6) -> Any:
        return self._queue.get(timeout=timeout)

    def put_many(self, objs: list[Any]) -> None:
        self._queue.put_many(objs, timeout=1e6)

    def get_many(self, most: int) -> list[Any]:
        got: list[Any] = self._queue.get_many(max_messages_to_get=most, timeout=1e6)
        return got


def kit_class(name: str) -> type[Kit]:
    """The kit of that name; "faulty:..." for one with a fault on purpose."""
    if name.startswith("faulty:"):
        from chaos import faults

        return faults.kit_class(name.partition(":")[2])
    try:
        return {"hardy": HardyKit, "mp": StdlibKit, "faster-fifo": FasterFifoKit}[name]
    except KeyError:
        raise ValueError(f"no library {name!r}; there are {', '.join(LABELS)}") from None
