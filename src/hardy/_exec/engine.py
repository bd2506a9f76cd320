r"""The engine of every pool: tasks in, workers that may die, each task to exactly one end.

    submit (any thread) --> waiting --> a worker's own ring --> worker --> the ring of results --> collector (a thread)
                                  \___________________________/ when the worker dies, or another is free

Each worker has a ring of its own, so that the parent knows which tasks it was given, in which order. What it has not
taken can be taken back, at any time, for another. Its desk says what it has in hand. So when a worker dies, after
what it had put among the results is settled, at most one task is unaccounted for: the one that it died of.

`_lock` guards all state here and in the slots. Sinks are told with no lock held, by the collector.
"""

from __future__ import annotations

import collections
import contextlib
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from hardy._core import runtime
from hardy._exec.errors import PoolBroken
from hardy._exec.sharing import Sharing
from hardy._exec.slot import Slot
from hardy._exec.task import Task
from hardy._exec.watch import Watch
from hardy._exec.wire import MessageRing
from hardy._exec.worker import DeskMemory, Seat, serve
from hardy._proc.process import can_be_forked, fork_together
from hardy._proc.threads import said_before
from hardy._stdlib.main_module import main_is_importable

__all__ = ["Engine", "State"]


class State:
    """What a pool does: takes tasks, finishes those it has, ends at once, has ended."""

    OPEN = "open"
    CLOSING = "closing"
    ENDING = "ending"
    ENDED = "ended"


class Engine(Sharing):
    """Workers, and the tasks that they are given.

    Args:
        make_process: makes a process from `target`, `args`; not started yet.
        workers: how many there are at most.
        initializer: what each worker calls first.
        initargs: its arguments.
        max_tasks: after how many tasks a worker is replaced; None: never.
        on_demand: whether a worker is started only when there is a task for it.
        start_method: how the workers are started; those that are forked have what this process had then.
        cause: makes the exception that bears a worker's traceback.
        title: what errors call the pool.
    """

    def __init__(
        self,
        make_process: Callable[..., Any],
        workers: int,
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        max_tasks: int | None,
        *,
        on_demand: bool,
        start_method: str,
        cause: Callable[[str], BaseException],
        title: str,
    ) -> None:
        super().__init__()
        self.title = title
        self.cause = cause
        self.forks = start_method == "fork"
        # The kernel tells how much memory a process had to who reaps it, the forkserver; and counts to those that are
        # spawned what this process had.
        self.peaks_untold = not self.forks
        self.main_is_there = self.forks or main_is_importable()
        self.state = State.OPEN
        self.broken: PoolBroken | None = None
        self.processes: dict[int, Any] = {}
        self.workers: list[Any] = []
        self.tasks: dict[int, Task] = {}
        # Streams whose input is not at its end, and those that nobody will read any more.
        self.feeds: list[Any] = []
        self.orphans: collections.deque[Any] = collections.deque()
        self.results: MessageRing | None = MessageRing.create()
        self.watch = Watch(self)
        self.thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._forks = runtime.fork_count()
        self._make_process = make_process
        self._initializer = initializer
        self._initargs = tuple(initargs)
        self._max_tasks = max_tasks
        self._on_demand = on_demand
        self._lock = threading.Lock()
        self._memory: DeskMemory | None = DeskMemory(workers)
        self.tally = self._memory.tally(title)
        self.slots = [Slot(i, MessageRing.create(), self._memory.desk(i)) for i in range(workers)]
        self._unstarted: dict[Slot, None] = dict.fromkeys(reversed(self.slots))

    # ---- tasks ----

    def submit(self, task: Task, *, begun: bool = False) -> None:
        """Take a task; its sink will be told.

        Args:
            task: made just now.
            begun: whether it belongs to a call that was made before the pool was closed.

        Raises:
            PoolBroken: the pool cannot have workers.
            RuntimeError: the pool takes no more tasks, or belongs to another process.
            OSError, MemoryError: there is no memory for the task; it was not taken.
        """
        start = None
        with self._lock:
            if self.state != State.OPEN or self.broken is not None or self._forks != runtime.fork_count():
                self.refuse(begun)
            self.tasks[task.id] = task
            try:
                if self._idle:
                    self._give(self._idle.popitem()[0], task)
                elif self._unstarted:
                    start = self._unstarted.popitem()[0]
                    start.is_starting = True
                    self._give(start, task)
                elif self._roomy and not self._pending:
                    self._give(next(iter(self._roomy)), task)
                else:
                    self._pending.append(task)
            except BaseException:
                del self.tasks[task.id]
                if start is not None:
                    start.is_starting = False
                    self._unstarted[start] = None
                for slot in self.slots:
                    self.file(slot)
                raise
            self.tally.given(task.count)
        if start is not None:
            self.start_worker(start)

    def refuse(self, begun: bool = False) -> None:
        """Raise why no task is taken, unless it belongs to a call that was made before the pool was closed."""
        if self._pid != os.getpid():
            raise RuntimeError(
                f"{self.title} belongs to process {self._pid} and cannot be used in {os.getpid()}, which is a copy "
                "of it; make a pool of its own there"
            )
        if self.broken is not None:
            raise PoolBroken(str(self.broken)) from self.broken.__cause__
        if begun and self.state == State.CLOSING:
            return
        raise RuntimeError(f"cannot schedule new futures after shutdown: {self.title} takes no more tasks")

    def again(self, tasks: Iterable[Task]) -> None:
        """Put tasks in front of those that wait, the first of them first."""
        with self._lock:
            for task in reversed(list(tasks)):
                self.tasks[task.id] = task
                self._pending.appendleft(task)
            late = self.share_out()
        self.tell_late(late)

    # ---- cancelling ----

    def cancel(self, task: Task) -> bool:
        """Whether a task will not run, or was ended while it ran; False: it has ended. Its sink is not told."""
        with self._lock:
            if self.tasks.get(task.id) is not task:
                return False
            slot = task.slot
            if slot is not None and not self._take_back(slot, task):
                running = slot.desk.running()
                if running is not None and running[0] != task.id:
                    return False  # its result is on its way
                self.watch.condemn(slot, task)
            del self.tasks[task.id]
            self.tally.cancelled(task.left)
            task.release()
            self.wake()
            return True

    def _take_back(self, slot: Slot, task: Task) -> bool:
        back = slot.take_back(len(slot.sent))
        for other in back:
            if other is not task:
                self._give(slot, other)
        self.file(slot)
        return task in back

    def cancel_all(self, sink: Any) -> None:
        """Cancel all tasks of a sink that have not ended."""
        with self._lock:
            tasks = [task for task in self.tasks.values() if task.sink is sink]
        for task in reversed(tasks):
            self.cancel(task)

    def take_waiting(self) -> list[Task]:
        """Take all tasks that no worker has begun; their sinks are not told."""
        with self._lock:
            self._pending.clear()
            for slot in self.slots:
                back = slot.take_back(len(slot.sent))
                if back and not slot.sent:
                    # It is about to begin, also where the worker is about to start.
                    self._give(slot, back[0])
                self.file(slot)
            self.watch.forget_later()
            waiting = [task for task in self.tasks.values() if task.slot is None]
            for task in waiting:
                del self.tasks[task.id]
                self.tally.cancelled(task.left)
                task.release()
        self.wake()
        return waiting

    # ---- workers ----

    def start(self) -> None:
        """Start the workers, unless they are started on demand, and the collector.

        Raises:
            OSError, CannotPickle: a worker cannot be started; none is left.
        """
        from hardy._exec.collector import Collector

        collector = Collector(self)
        try:
            together: list[tuple[Slot, Any]] = []
            while self._unstarted and not self._on_demand:
                slot = self._unstarted.popitem()[0]
                process = self._prepare(slot)
                if can_be_forked(process):
                    together.append((slot, process))
                else:
                    self._start(process)
                    self._seat(slot, process)
            fork_together([process for _, process in together])
            for slot, process in together:
                self._seat(slot, process)
            self.processes.update((worker.pid, worker) for worker in self.workers)
            # After the forks, which are slower in a process of several threads. Who sees the thread sees workers.
            thread = threading.Thread(target=collector.run, name=f"hardy-{self.title}", daemon=True)
            thread.start()
            self.thread = thread
        except BaseException:
            self._undo_start()
            raise

    def _undo_start(self) -> None:
        with self._lock:
            workers = list(self.workers)
            for slot in self.slots:
                slot.process = None
        self.terminate()
        for process in workers:
            process.join()
        self.release()

    def _prepare(self, slot: Slot) -> Any:
        assert self._memory is not None
        assert self.results is not None
        slot.desk.clear()
        slot.peak_bytes = 0
        return self._make_process(
            target=serve,
            args=(
                Seat(self._memory, slot.index, slot.ring, self.results, not self.main_is_there),
                self._initializer,
                self._initargs,
                self._max_tasks,
            ),
        )

    def _launch(self, slot: Slot) -> None:
        process = self._prepare(slot)
        self._start(process)
        self.processes[process.pid] = process
        self._seat(slot, process)

    def _start(self, process: Any) -> None:
        with said_before() if self.workers else contextlib.nullcontext():
            process.start()

    def _seat(self, slot: Slot, process: Any) -> None:
        with self._lock:
            slot.process = process
            slot.is_starting = False
            self.workers.append(process)
            self.file(slot)
            if self.state in (State.ENDING, State.ENDED):
                process.kill()

    def start_worker(self, slot: Slot) -> None:
        """Start the worker of a slot that has none; if that fails, and there is no other one, the pool is broken."""
        try:
            self._launch(slot)
        except Exception as error:
            with self._lock:
                slot.is_starting = False
                back = slot.take_back(len(slot.sent))
                self.file(slot)
                self._unstarted[slot] = None
                alone = not any(other.process is not None or other.is_starting for other in self.slots)
            if alone:
                self.break_down(f"no worker can be started ({type(error).__name__}: {error})", error)
            else:
                self.again(back)

    def replace_worker(self, slot: Slot) -> None:
        """Have a new worker in a slot, whose worker has ended: at once, or when there is work for it."""
        with self._lock:
            if self.state not in (State.OPEN, State.CLOSING) or self.broken is not None:
                return
            needed = slot.sent or self._pending or (self.state == State.OPEN and not self._on_demand)
            if not needed:
                self._unstarted[slot] = None
                return
            slot.is_starting = True
            self.file(slot)
        self.start_worker(slot)
        with self._lock:
            late = self.share_out()
        self.tell_late(late)

    def grow(self) -> None:
        """Start workers for tasks that wait, where there are fewer than there may be."""
        while self._pending and self._unstarted:
            with self._lock:
                if not self._pending or not self._unstarted or self.broken is not None:
                    return
                slot = self._unstarted.popitem()[0]
                slot.is_starting = True
                self.file(slot)
                late = self.share_out()
            self.tell_late(late)
            self.start_worker(slot)

    # ---- the end ----

    def is_ours(self) -> bool:
        """Whether this process made it, and is not a forked copy of the one that did."""
        return self._pid == os.getpid()

    def wake(self) -> None:
        """Have the collector look around."""
        results = self.results
        if results is not None:
            results.put(b"", False)

    def release(self) -> None:
        """At the end: give the shared memory back, though futures still refer to this."""
        with self._lock:
            self.state = State.ENDED
            self._idle.clear()
            self._roomy.clear()
            self._unstarted.clear()
            self.slots.clear()
            self.feeds.clear()
            self.results = self._memory = None
            self.tally.let_go()

    def close(self) -> None:
        """Take no more tasks, and end when all are done."""
        if self.state == State.OPEN:
            self.state = State.CLOSING
            self._wake_or_end()

    def terminate(self) -> None:
        """End now: workers are killed, and tasks that have not ended fail."""
        if self.state != State.ENDED:
            self.state = State.ENDING
            if self._pid == os.getpid():
                # Without the lock: this may be called by the collection of garbage. Who gets a worker now kills it.
                for process in list(self.workers):
                    process.terminate()
            self._wake_or_end()

    def _wake_or_end(self) -> None:
        if self._pid != os.getpid():
            return
        if self.thread is None:
            self.state = State.ENDED
        else:
            self.wake()

    def join(self, timeout: float | None = None) -> bool:
        """Whether all has ended, after waiting for it."""
        if self.thread is not None and self._pid == os.getpid() and self.thread is not threading.current_thread():
            self.thread.join(timeout)
            return not self.thread.is_alive()
        return True

    def break_down(self, why: str, cause: BaseException | None) -> None:
        """Fail all tasks, now and later: there can be no workers."""
        error = PoolBroken(f"{self.title} is broken: {why}. Its tasks were not run; make another pool")
        error.__cause__ = cause
        with self._lock:
            if self.broken is not None:
                return
            self.broken = error
            for slot in self.slots:
                if slot.process is not None:
                    slot.process.terminate()
        self.drop_all(error)
        self.wake()

    def drop_all(self, error: BaseException) -> None:
        """Tell all tasks that have not ended that they will not."""
        with self._lock:
            dropped = list(self.tasks.values())
            self.tasks.clear()
            self._pending.clear()
        for task in dropped:
            self.fail(task, range(task.next, task.count), error)
            task.release()
