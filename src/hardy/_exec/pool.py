"""`Pool`: the methods of `multiprocessing.pool.Pool`, on the engine."""

from __future__ import annotations

import multiprocessing.pool
import os
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from multiprocessing import util
from operator import index
from typing import Any

from hardy._exec import task
from hardy._exec.bar import bar_for
from hardy._exec.engine import Engine
from hardy._exec.face import Face
from hardy._exec.results import ApplyResult, IMapIterator, IMapUnorderedIterator, MapResult
from hardy._exec.stream import Stream, look_ahead
from hardy._stdlib.default import current_context

__all__ = ["Pool"]

_RUN, _CLOSE, _TERMINATE = "RUN", "CLOSE", "TERMINATE"
# Chunks for each worker, when nobody says how large they are to be; the stdlib's number.
_CHUNKS_EACH = 4


class Pool(Face, multiprocessing.pool.Pool):
    """A pool of worker processes, with the methods of `multiprocessing.Pool`.

    Args:
        processes: how many workers; None: one for each processor that this process may use.
        initializer: what each worker calls first.
        initargs: its arguments.
        maxtasksperchild: after how many tasks a worker is replaced by a new one; None: never.
        context: the context whose processes it has; None: the default one.

    Differs from the stdlib: a worker's death costs only the task that it ran, which fails with `WorkerDied` or is run
    again as `options` says; time and memory limits; tasks can be cancelled while they run; `imap` does not run ahead
    of its reader without bound; `run` and `as_completed` for asyncio.

    If a process dies here: a worker is replaced; when this process dies, its workers end.

    Raises:
        ValueError, TypeError: an argument is wrong.
        OSError: a worker cannot be started; none is left.
    """

    _state: str

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        self._state = "INIT"
        if processes is None:
            processes = len(os.sched_getaffinity(0))
        processes = count_of_workers("processes", processes)
        if processes < 1:
            raise ValueError(f"Number of processes must be at least 1, not {processes}")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError(f"maxtasksperchild must be a positive int or None, not {maxtasksperchild!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {type(initializer).__name__}")
        check_initargs(initargs)
        self._ctx = own_context(context)
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = maxtasksperchild
        self._engine = engine = Engine(
            partial(make_worker, partial(type(self).Process, self._ctx)),
            processes,
            initializer,
            initargs,
            maxtasksperchild,
            on_demand=False,
            start_method=self._ctx.get_start_method(),
            cause=multiprocessing.pool.RemoteTraceback,  # type: ignore[attr-defined] # typeshed lacks it
            title="Pool",
        )
        self._pool = engine.workers
        self._cache = engine.tasks
        engine.start()
        # Before the interpreter ends, and when the pool is forgotten, which may be inside of anything.
        at_exit = util.Finalize(None, _end_now, args=(weakref.ref(engine),), exitpriority=15)
        weakref.finalize(self, _forget, engine, at_exit).atexit = False
        self._state = _RUN

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:  # noqa: N802 - the stdlib's name
        return ctx.Process(*args, **kwds)

    def __del__(self, _warn: Any = warnings.warn, RUN: str = _RUN) -> None:  # noqa: N803
        if getattr(self, "_state", None) == RUN and self._whole is None and self._engine.is_ours():
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} state={self._now()} pool_size={len(self._pool)}>"

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def _now(self) -> str:
        state: str = (self._whole or self)._state
        return state

    def _check_running(self) -> None:
        if self._now() != _RUN:
            raise ValueError("Pool not running")

    def _started_engine(self) -> Engine:
        self._check_running()
        return self._engine

    def _repopulate_pool(self) -> None:
        """Nothing to do: workers are replaced as they end. Kept for those who call it."""

    # ---- one call ----

    def apply(self, func: Callable[..., Any], args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}) -> Any:
        """What `func(*args, **kwds)` returns in a worker; raises as `ApplyResult.get`."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(  # type: ignore[override] # the stdlib's class is another one
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> ApplyResult:
        """Call `func(*args, **kwds)` in a worker.

        Args:
            func: the function.
            args: its arguments.
            kwds: its named arguments.
            callback: called with what it returned, by a thread of the pool; it should be quick.
            error_callback: called with what it raised.

        Returns:
            the result, now or later.
        """
        self._check_running()
        result = ApplyResult(self._engine, callback, error_callback)
        try:
            made = task.call(result, func, tuple(args), dict(kwds), self._options, self._engine.main_is_there)
        except Exception as error:
            result.fail(0, error)
            return result
        result._task = made
        self._engine.submit(made)
        return result

    # ---- many items ----

    def map(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        *,
        progress: bool = False,
    ) -> list[Any]:
        """`[func(item) for item in iterable]`, in the workers.

        Args:
            func: the function.
            iterable: the items; all of them are taken first.
            chunksize: how many go to a worker at a time; None: a quarter of what each worker has to do in all.
            progress: show how far it is on standard error.
        """
        result: list[Any] = self._map(func, iterable, False, chunksize, progress=progress).get()
        return result

    def map_async(  # type: ignore[override]
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        progress: bool = False,
    ) -> MapResult:
        """As `map`, but returns at once; the callbacks are as in `apply_async`."""
        return self._map(func, iterable, False, chunksize, callback, error_callback, progress=progress)

    def starmap(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        progress: bool = False,
    ) -> list[Any]:
        """As `map`, each item being the arguments of a call."""
        result: list[Any] = self._map(func, iterable, True, chunksize, progress=progress).get()
        return result

    def starmap_async(  # type: ignore[override]
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[Any]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        progress: bool = False,
    ) -> MapResult:
        """As `map_async`, each item being the arguments of a call."""
        return self._map(func, iterable, True, chunksize, callback, error_callback, progress=progress)

    def _map(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        starred: bool,
        chunksize: int | None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        progress: bool = False,
    ) -> MapResult:
        self._check_running()
        content = list(iterable)
        if chunksize is None:
            chunksize, extra = divmod(len(content), len(self._engine.slots) * _CHUNKS_EACH)
            chunksize += bool(extra)
            if self._options.is_watched:
                chunksize = 1
        chunksize = max(chunksize, 1)
        bar = bar_for(progress, func, content)
        result = MapResult(self._engine, len(content), chunksize, callback, error_callback, bar)
        for base in range(0, len(content), chunksize):
            chunk = content[base : base + chunksize]
            try:
                made = task.items(result, base, func, chunk, starred, self._options, self._engine.main_is_there)
            except Exception as error:
                for index in range(base, base + len(chunk)):
                    result.fail(index, error)
            else:
                self._engine.submit(made)
        return result

    def imap(  # type: ignore[override]
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
        buffersize: int | None = None,
        *,
        progress: bool = False,
    ) -> IMapIterator:
        """The results of `func` for each item, in their order, one by one as they are asked for.

        Args:
            func: the function.
            iterable: the items; it may have no end.
            chunksize: how many go to a worker at a time.
            buffersize: how many chunks may be on their way, or done and not asked for; None: all, for what has a
                length, and else some for each worker.
            progress: show how far it is on standard error.
        """
        return IMapIterator(self._stream(func, iterable, chunksize, buffersize, True, progress))

    def imap_unordered(  # type: ignore[override]
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int = 1,
        buffersize: int | None = None,
        *,
        progress: bool = False,
    ) -> IMapUnorderedIterator:
        """As `imap`, the results as they are ready."""
        return IMapUnorderedIterator(self._stream(func, iterable, chunksize, buffersize, False, progress))

    def _stream(
        self, func: Any, iterable: Iterable[Any], chunksize: int, buffersize: int | None, ordered: bool, progress: bool
    ) -> Stream:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize}")
        ahead = look_ahead((iterable,), len(self._engine.slots), chunksize, buffersize)
        options, main_is_there = self._options, self._engine.main_is_there

        def make(stream: Stream, base: int, content: list[Any]) -> task.Task:
            return task.items(stream, base, func, content, False, options, main_is_there)

        bar = bar_for(progress, func, iterable)
        return Stream(self._engine, make, iter(iterable), chunksize, ordered, ahead, bar)

    # ---- the end ----

    def close(self) -> None:
        """Take no more tasks; the workers end when all are done."""
        if self._now() == _RUN:
            (self._whole or self)._state = _CLOSE
            self._engine.close()

    def terminate(self) -> None:
        """End at once: workers are killed, and what has not ended fails with `PoolBroken`."""
        (self._whole or self)._state = _TERMINATE
        self._engine.terminate()
        self._engine.join()

    def join(self) -> None:
        """Wait until the workers have ended.

        Raises:
            ValueError: neither `close` nor `terminate` was called.
        """
        if self._now() == _RUN:
            raise ValueError("Pool is still running")
        for stream in list(self._engine.feeds):
            stream.finish()
        self._engine.join()

    def __enter__(self) -> Pool:
        self._check_running()
        return self

    def __exit__(self, *error: object) -> None:
        self.terminate()


def count_of_workers(name: str, count: Any) -> int:
    """The number of workers that was asked for.

    Raises:
        TypeError: it is no integer.
    """
    try:
        return index(count)
    except TypeError:
        raise TypeError(f"{name} must be an integer or None, not {type(count).__name__}") from None


def check_initargs(initargs: object) -> None:
    """Refuse, at the call, what is no sequence of arguments.

    Raises:
        TypeError: with the mend.
    """
    if not isinstance(initargs, Iterable):
        raise TypeError(f"initargs must be a tuple of arguments, not {type(initargs).__name__}: (x,) for a single one")


def own_context(context: Any) -> Any:
    """The context of hardy for the one that was given."""
    if context is None:
        return current_context()
    if type(context).__module__.startswith("multiprocessing."):
        return current_context().get_context(context.get_start_method())
    return context


def make_worker(process: Callable[..., Any], **keywords: Any) -> Any:
    """A worker process, not yet started, named and marked as one.

    Args:
        process: makes a process of the pool's context.
        **keywords: its arguments.
    """
    worker = process(**keywords)
    worker.name = worker.name.replace("Process", "PoolWorker")
    worker.daemon = True
    return worker


def _end_now(ref: weakref.ref[Engine]) -> None:
    engine = ref()
    if engine is not None:
        engine.terminate()
        engine.join()


def _forget(engine: Engine, at_exit: util.Finalize) -> None:
    if engine.is_ours():
        at_exit.cancel()
        engine.terminate()
