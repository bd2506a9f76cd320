"""A worker: takes tasks from its ring, one at a time, and puts what becomes of each into the pool's.

A task's life in the worker, and what its parent finds when the worker is killed there:

    in the ring        nobody's: another worker gets it
    taken              the desk says TAKEN, or nothing: not begun, another worker gets it
    begun              the desk says RUNNING: the task that the worker died of
    result in the ring it has ended, whatever the desk says
    acknowledged       the desk says IDLE
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # typeshed lacks it
import itertools
import logging
import mmap
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import reduction
from typing import Any

from hardy._core import runtime, tracer
from hardy._core.desk import DESK_BYTES, TALLY_BYTES, Desk, Doomed, Tally, Walk
from hardy._exec import failure, inside
from hardy._exec.wire import RESULT, TASK, Kind, MessageRing, open_task, pack
from hardy._proc import told
from hardy._proc.outcome import above_std_streams

__all__ = ["DeskMemory", "Seat", "serve"]

runtime._declare(
    "pool.worker.before_take",
    "pool.worker.after_take",
    "pool.worker.after_begin",
    "pool.worker.before_result",
    "pool.worker.after_result",
    "pool.worker.after_end",
)

# Results of a run of small items are sent together, this often at most.
_SEND_EVERY_S = 0.005
_SHORT_S = 0.0005
_MOST_ITEMS = 8192


class DeskMemory:
    """The memory of a pool's tally and desks, for it and its workers; a memfd, so that no start method needs a path."""

    def __init__(self, desks: int) -> None:
        self._open(above_std_streams(os.memfd_create("hardy-pool", os.MFD_CLOEXEC)), desks, fresh=True)

    def _open(self, fd: int, desks: int, fresh: bool = False) -> None:
        nbytes = TALLY_BYTES + desks * DESK_BYTES
        try:
            if fresh:
                os.ftruncate(fd, nbytes)
            self.pages = mmap.mmap(fd, nbytes)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._desks = desks

    def __del__(self) -> None:
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def desk(self, index: int) -> Desk:
        """One of the desks."""
        return Desk(self.pages, index)

    def tally(self, kind: str) -> Tally:
        """The pool's own counts; for the process that makes it."""
        return Tally(self.pages, kind)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_desks, (reduction.DupFd(self._fd), self._desks)


def _rebuild_desks(passed: Any, desks: int) -> DeskMemory:
    memory = DeskMemory.__new__(DeskMemory)
    fd = int(passed.detach())
    os.set_inheritable(fd, False)
    memory._open(fd, desks)
    return memory


class Seat:
    """What a worker is given.

    Attributes:
        memory, index: of its desk.
        tasks, results: the rings.
        by_value: whether results that pickle refuses travel too, with cloudpickle: where tasks come so. Elsewhere such
            a result is an error, as with the stdlib.
    """

    # Without a dict: nobody who looks for the user's queues among a worker's arguments finds the pool's own.
    __slots__ = ("by_value", "index", "memory", "results", "tasks")

    def __init__(
        self, memory: DeskMemory, index: int, tasks: MessageRing, results: MessageRing, by_value: bool
    ) -> None:
        self.memory = memory
        self.index = index
        self.tasks = tasks
        self.results = results
        self.by_value = by_value


def serve(
    seat: Seat, initializer: Callable[..., object] | None, initargs: Iterable[Any], max_tasks: int | None
) -> None:
    """The life of a worker."""
    # Ctrl-C reaches every process of the terminal. The parent answers it for all; a handler, and not SIG_IGN,
    # for programs that a task starts get their default back.
    # Not by the module `signal`, whose enums are some 25 pages more for the child to copy.
    _signal.signal(_signal.SIGINT, _leave_it_to_the_parent)
    desk = seat.memory.desk(seat.index)
    inside.sit_down(desk)
    if initializer is not None:
        try:
            initializer(*initargs)
        except BaseException as error:
            logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
            said = failure.raised(error, failure.call_text(initializer, initargs, {}))
            seat.results.put(pack(tuple(said), RESULT.pack(0, 0, 0, Kind.BROKEN)))
            return
    desk.say_ready()
    while _take_one(seat, desk, max_tasks):
        pass


def _leave_it_to_the_parent(number: int, frame: object) -> None:
    pass


def _take_one(seat: Seat, desk: Desk, max_tasks: int | None) -> bool:
    """Take a task and deal with it; whether there may be another."""
    runtime.hit("pool.worker.before_take")
    message = seat.tasks.get()
    data = message if type(message) is bytes else message.data
    end = len(data) - TASK.size
    task, kind, length = TASK.unpack_from(data, end)
    if kind == Kind.STOP:
        return False
    name = bytes(data[end - length : end])
    carried = b""
    if kind & Kind.CARRIED:
        end -= length
        carried = bytes(data[end - told.CARRIED_BYTES : end])
        kind &= ~Kind.CARRIED
    desk.take(task)
    runtime.hit("pool.worker.after_take")
    while not desk.begin():
        _wait_while_doomed(desk)
    runtime.hit("pool.worker.after_begin")
    if kind == Kind.CALL:
        out = _call(desk, task, message, name, carried, seat.by_value)
        _flush(seat)
        runtime.hit("pool.worker.before_result")
        seat.results.put(out)
    else:
        _Run(seat, desk, task, kind, message, name, carried).go()
    runtime.hit("pool.worker.after_result")
    ended = desk.end()
    runtime.hit("pool.worker.after_end")
    return max_tasks is None or ended < max_tasks


def _wait_while_doomed(desk: Desk) -> None:
    """Until the parent kills this process, or has found that the task that it meant has ended."""
    while desk.doomed():
        time.sleep(0.001)


def _flush(seat: Seat) -> None:
    """Before the last result for now: who has it may end this process."""
    if told.observer is not None and not seat.tasks.qsize():
        told.observer.flush()


def _call(desk: Desk, task: int, message: Any, name: bytes, carried: bytes, by_value: bool) -> Any:
    function: Any = None
    try:
        try:
            function, args, kwargs = open_task(message, name)
        except BaseException as error:
            return _failed(task, 0, failure.not_rebuilt(error))
        desk.show(function)
        if tracer.active() or told.observer is not None:
            value = _call_seen(task, function, args, kwargs, carried)
        else:
            value = function(*args, **kwargs)
    except BaseException as error:
        return _failed(task, 0, failure.raised(error, failure.call_text(function, args, kwargs)))
    try:
        return pack(value, RESULT.pack(task, 0, 1, Kind.VALUE), by_value=by_value)
    except BaseException as error:
        return _unsendable(task, 0, value, error, failure.call_text(function, args, kwargs))


def _told(name: str, task: int, carried: bytes) -> AbstractContextManager[None]:
    observer = told.observer
    return nullcontext() if observer is None else observer.task(name, task, carried)


def _call_seen(task: int, function: Any, args: Any, kwargs: Any, carried: bytes) -> Any:
    name = getattr(function, "__qualname__", type(function).__name__)
    raised = 1
    tracer.mark(tracer.TASK, name, task)
    try:
        with _told(name, task, carried):
            value = function(*args, **kwargs)
        raised = 0
        return value
    finally:
        tracer.mark(tracer.TASK_END, name, raised)


def _unsendable(task: int, item: int, value: Any, error: BaseException, call: str) -> Any:
    if not isinstance(error, Exception):
        return _failed(task, item, failure.raised(error, call))
    return _failed(task, item, failure.not_picklable(value, error, call))


def _failed(task: int, item: int, said: failure.Failure) -> Any:
    return pack(tuple(said), RESULT.pack(task, item, 1, Kind.FAILURE))


class _Run:
    """A run of items through one function.

    Small items are run many at a time and their results sent together, every few milliseconds; the desk says which
    one runs. When the worker is killed, only that one is the task it died of. The results since the last sending are
    lost with it, and those items are run again.
    """

    def __init__(self, seat: Seat, desk: Desk, task: int, kind: int, message: Any, name: bytes, carried: bytes) -> None:
        self._seat = seat
        self._carried = carried
        self._put = seat.results.put
        self._by_value = seat.by_value
        self._desk = desk
        self._task = task
        self._kind = kind
        self._message = message
        self._function_name = name
        self._first = 0
        self._values: list[Any] = []
        self._raised = 0
        self._starred = bool(kind & ~Kind.TIMED == Kind.STARRED_ITEMS)

    def go(self) -> None:
        """Run all items, each to its value or failure."""
        try:
            function, items = open_task(self._message, self._function_name)
            count = len(items)
        except BaseException as error:
            said = tuple(failure.not_rebuilt(error))
            self._put(pack(said, RESULT.pack(self._task, 0, 0, Kind.FAILURE)))  # of 0 items: of all
            return
        self._message = None
        self._function = function
        self._items = items
        self._desk.show(function)
        name = getattr(function, "__qualname__", type(function).__name__)
        tracer.mark(tracer.TASK, name, self._task)
        try:
            with _told(name, self._task, self._carried):
                self._run_all(function, items, count)
        finally:
            tracer.mark(tracer.TASK_END, name, self._raised)
        _flush(self._seat)
        runtime.hit("pool.worker.before_result")
        self._send()

    def _run_all(self, function: Any, items: Any, count: int) -> None:
        walk = Walk(self._desk, items, bool(self._kind & Kind.TIMED))
        results = itertools.starmap(function, walk) if self._starred else map(function, walk)
        size, sent = 1, time.monotonic()
        while (at := self._first + len(self._values)) < count:
            walk.stop = min(at + size, count)
            began = time.monotonic()
            try:
                self._values.extend(results)
                if walk.given > self._first + len(self._values):
                    # Whoever iterates takes it for the end of the items.
                    self._fail(StopIteration())
            except Doomed:
                _wait_while_doomed(self._desk)
            except BaseException as error:
                self._fail(error)
            now = time.monotonic()
            if now - began < _SHORT_S:
                size = min(size * 4, _MOST_ITEMS)
            elif now - began > _SEND_EVERY_S:
                size = max(size // 4, 1)
            if now - sent > _SEND_EVERY_S:
                self._send()
                sent = now

    def _call_text(self, item: int) -> str:
        args = self._items[item]
        return failure.call_text(self._function, args if self._starred else (args,), {})

    def _fail(self, error: BaseException) -> None:
        self._send()
        self._put(_failed(self._task, self._first, failure.raised(error, self._call_text(self._first))))
        self._first += 1
        self._raised += 1

    def _send(self) -> None:
        values, first = self._values, self._first
        if not values:
            return
        self._values = []
        self._first += len(values)
        try:
            out = pack(values, RESULT.pack(self._task, first, len(values), Kind.VALUES), by_value=self._by_value)
        except BaseException:
            for item, value in enumerate(values, first):
                self._put(self._pack_one(item, value))
        else:
            self._put(out)

    def _pack_one(self, item: int, value: Any) -> Any:
        try:
            return pack([value], RESULT.pack(self._task, item, 1, Kind.VALUES), by_value=self._by_value)
        except BaseException as error:
            return _unsendable(self._task, item, value, error, self._call_text(item))
