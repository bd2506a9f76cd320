"""`ProcessPoolExecutor`: a `concurrent.futures.Executor` on the engine."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from hardy._exec import task
from hardy._exec.bar import bar_for
from hardy._exec.engine import Engine, State
from hardy._exec.face import Face
from hardy._exec.future import TaskFuture
from hardy._exec.pool import check_initargs, count_of_workers, make_worker, own_context
from hardy._exec.stream import Failed, Stream, StreamReader, look_ahead
from hardy._stdlib.at_exit import before_threads_are_joined, was_interrupted
from hardy._stdlib.default import current_context
from hardy._stdlib.executor import ExecutorTraceback

__all__ = ["ProcessPoolExecutor"]

_living: weakref.WeakSet[Engine] = weakref.WeakSet()


class ProcessPoolExecutor(Face, concurrent.futures.Executor):
    """Worker processes behind `concurrent.futures`.

    Args:
        max_workers: how many workers at most; None: one for each processor that this process may use.
        mp_context: the context whose processes it has; None: the default one, or spawn with `max_tasks_per_child`.
        initializer: what each worker calls first.
        initargs: its arguments.
        max_tasks_per_child: after how many tasks a worker is replaced by a new one; None: never.

    Differs from the stdlib: a worker's death costs only the task that it ran, which fails with `WorkerDied` (a
    `BrokenProcessPool`) or is run again as `options` says; the executor goes on. `Future.cancel` ends a task that runs.
    Time and memory limits; `run` and `as_completed` for asyncio.

    If a process dies here: a worker is replaced; when this process dies, its workers end.

    Raises:
        ValueError, TypeError: an argument is wrong.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        if max_workers is None:
            max_workers = len(os.sched_getaffinity(0))
        elif (max_workers := count_of_workers("max_workers", max_workers)) <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}")
        if mp_context is None and max_tasks_per_child is not None:
            mp_context = current_context().get_context("spawn")
        context = own_context(mp_context)
        start_method = context.get_start_method()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        check_initargs(initargs)
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError("max_tasks_per_child must be an integer")
            if max_tasks_per_child <= 0:
                raise ValueError("max_tasks_per_child must be >= 1")
            if start_method == "fork":
                raise ValueError(
                    "max_tasks_per_child is incompatible with the 'fork' multiprocessing start method; supply a "
                    "different mp_context."
                )
        self._max_workers = max_workers
        self._mp_context = context
        self._initializer = initializer
        self._initargs = initargs
        self._max_tasks_per_child = max_tasks_per_child
        self._engine = engine = Engine(
            partial(make_worker, context.Process),
            max_workers,
            initializer,
            initargs,
            max_tasks_per_child,
            on_demand=start_method != "fork",
            start_method=start_method,
            cause=ExecutorTraceback,
            title="ProcessPoolExecutor",
        )
        self._processes: dict[int, Any] | None = engine.processes
        self._call_queue = engine.results
        self._shutdown_thread = False
        # Of two threads that give the first task, one starts the workers.
        self._starting = threading.Lock()
        weakref.finalize(self, _forget, engine).atexit = False
        _living.add(engine)

    @property
    def _broken(self) -> Any:
        return str(self._engine.broken) if self._engine.broken is not None else False

    @property
    def _executor_manager_thread(self) -> threading.Thread | None:
        return self._engine.thread

    def _started_engine(self) -> Engine:
        engine = self._engine
        if engine.thread is None:
            with self._starting:
                if engine.thread is None and engine.state == State.OPEN:
                    engine.start()
        return engine

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> TaskFuture:
        """Call `fn(*args, **kwargs)` in a worker.

        Returns:
            its future. What cannot be pickled is told there.

        Raises:
            RuntimeError: the executor was shut down.
            PoolBroken: it cannot have workers (`BrokenProcessPool`).
        """
        return self._future(fn, args, kwargs)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool = False,
    ) -> Iterator[Any]:
        """The results of `fn` for the items of the iterables, taken together as by `map`, in their order.

        Args:
            fn: the function.
            *iterables: the items; they may have no end.
            timeout: seconds from now until all results must be there; None: no end.
            chunksize: how many items go to a worker at a time.
            buffersize: how many chunks may be on their way, or done and not asked for; None: all, for inputs that
                have a length, and else some for each worker.
            progress: show how far it is on standard error.

        Raises:
            TimeoutError: by the iterator: a result was not there in time.
            Exception: by the iterator: what an item raised. What has not ended is cancelled then.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        until = None if timeout is None else time.monotonic() + timeout
        engine = self._started_engine()
        ahead = look_ahead(iterables, len(engine.slots), chunksize, buffersize)
        if engine.state != State.OPEN or engine.broken is not None:
            engine.refuse()
        options = self._options

        starred = len(iterables) != 1

        def make(stream: Stream, base: int, content: list[Any]) -> task.Task:
            return task.items(stream, base, fn, content, starred, options, engine.main_is_there)

        inputs = zip(*iterables, strict=False) if starred else iter(iterables[0])
        sized: list[Any] = [each for each in iterables if hasattr(each, "__len__")]
        bar = bar_for(progress, fn, min(sized, key=len) if len(sized) == len(iterables) and sized else None)
        return _MapIterator(Stream(engine, make, inputs, chunksize, True, ahead, bar), until)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; the workers end when all are done.

        Args:
            wait: return when the workers have ended.
            cancel_futures: cancel the tasks that no worker has begun.
        """
        whole = self._whole or self
        whole._shutdown_thread = True
        engine = self._engine
        if cancel_futures:
            for stream in list(engine.feeds):
                stream.drop()
            for waiting in engine.take_waiting():
                _cancelled(waiting.sink)
        elif wait:
            for stream in list(engine.feeds):
                stream.finish()
        engine.close()
        if wait:
            engine.join()
        whole._processes = whole._call_queue = None

    def terminate_workers(self) -> None:
        """End at once: workers are terminated, and what has not ended fails with `PoolBroken`."""
        self._end_workers()

    def kill_workers(self) -> None:
        """As `terminate_workers`, by SIGKILL."""
        self._end_workers(at_once=True)

    def _end_workers(self, at_once: bool = False) -> None:
        whole = self._whole or self
        whole._shutdown_thread = True
        processes = list(self._engine.processes.values())
        self._engine.terminate()
        if at_once:
            for process in processes:
                process.kill()
        self._engine.join()
        whole._processes = whole._call_queue = None

    def __enter__(self) -> ProcessPoolExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> bool | None:
        if kind is not None and not issubclass(kind, Exception):
            # Ctrl-C, or the like: nobody is there who would wait.
            self._end_workers()
        else:
            self.shutdown(wait=True)
        return None


class _MapIterator(StreamReader, Iterator[Any]):
    """What `map` gives; like a generator, it is over once it has raised, and has `close`."""

    def __init__(self, stream: Stream, until: float | None) -> None:
        super().__init__(stream)
        self._until = until

    def __next__(self) -> Any:
        if self._run:
            return self._run.pop()
        if self._stream is None:
            raise StopIteration
        try:
            left = None if self._until is None else self._until - time.monotonic()
            run = self._stream.take(left)
        except BaseException:
            self.close()
            raise
        if not isinstance(run, Failed):
            self._run = run[::-1]
            del run
            return self._run.pop()
        self.close()
        try:
            raise run.error
        finally:
            del run  # a cycle of the error and this frame would keep what the frame has


def _cancelled(sink: Any) -> None:
    if isinstance(sink, TaskFuture):
        sink.note_cancelled()
    else:
        sink.drop()


def _forget(engine: Engine) -> None:
    if engine.is_ours():
        engine.close()


def _before_exit() -> None:
    """The program ends: tasks that were given are finished, unless it ends by Ctrl-C."""
    engines = [engine for engine in _living if engine.is_ours()]
    for engine in engines:
        if was_interrupted():
            engine.terminate()
        else:
            for stream in list(engine.feeds):
                stream.finish()
            engine.close()
    for engine in engines:
        engine.join()


before_threads_are_joined(_before_exit)
