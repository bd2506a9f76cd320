"""What the faces of a pool have in common: options, the asyncio side."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from hardy._exec import task
from hardy._exec.future import TaskFuture
from hardy._exec.options import NOTHING_ASKED, TaskOptions, changed

if TYPE_CHECKING:
    import asyncio

    from hardy._exec.engine import Engine

__all__ = ["Face"]

Self = TypeVar("Self", bound="Face")


class Face:
    """Mixed into `Pool` and `ProcessPoolExecutor`."""

    _options: TaskOptions = NOTHING_ASKED
    # The pool itself, in what `options` gives.
    _whole: Any = None

    def options(self: Self, **changes: Any) -> Self:
        """This pool, with options for the tasks that are given through what is returned.

        It is the same pool, with the same workers and methods: `pool.options(timeout=5, retries=2).submit(f, x)`.

        Args:
            **changes: those that are to differ:

                - `timeout`: seconds that one run of a task may take, from its begin; then its worker is killed, and the
                  task fails with `TaskTimeout`. None: no end.
                - `retries`: how often a failed run is repeated (0).
                - `retry_on`: the error, or tuple of errors, worth a repetition (`WorkerDied`).
                - `backoff`: seconds before the first repetition, doubled for each further one (0).
                - `max_memory`: bytes of resident memory that the worker may have while it runs the task; above, it is
                  killed, and the task fails with `TaskMemoryExceeded`. None: no limit.
                - `name`: what errors call the task; None: the function's name.

        Raises:
            TypeError, ValueError: there is no such option, or its value is wrong.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._options = changed(self._options, changes)
        view._whole = self._whole or self
        return view

    def _started_engine(self) -> Engine:
        raise NotImplementedError

    def _future(self, function: Callable[..., Any], args: Any, kwargs: Any) -> TaskFuture:
        engine = self._started_engine()
        future = TaskFuture()
        future._engine = engine
        try:
            made = task.call(future, function, args, kwargs, self._options, engine.main_is_there)
        except Exception as error:
            future.fail(0, error)
            return future
        future._task = made
        engine.submit(made)
        return future

    async def __aenter__(self: Self) -> Self:
        self.__enter__()  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *error: Any) -> None:
        """As of `with`; the event loop goes on meanwhile."""
        import asyncio

        await asyncio.to_thread(self.__exit__, *error)  # type: ignore[attr-defined]

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Await what `function(*args, **kwargs)` returns in a worker. To cancel it ends the task, also while it runs.

        Raises:
            WorkerDied: its worker was killed.
            Exception: what the function raised.
        """
        import asyncio

        return await asyncio.wrap_future(self._future(function, args, kwargs))

    async def as_completed(
        self,
        function: Callable[..., Any],
        iterable: Iterable[Any] | AsyncIterable[Any],
        /,
        *,
        ordered: bool = False,
        buffersize: int | None = None,
    ) -> AsyncIterator[Any]:
        """Yield what `function(item)` returns for each item, as they are ready; the input may have no end.

        Args:
            function: run in the workers.
            iterable: the items; also an asynchronous one.
            ordered: yield in the order of the items.
            buffersize: how many items are on their way at once; None: some for each worker.

        Raises:
            Exception: what the first failing item raised. What is left is cancelled then, as also when the loop is
                left early.
        """
        import asyncio

        ahead = buffersize or 16 * len(self._started_engine().slots)
        source = _as_async(iterable)
        waiting: list[asyncio.Future[Any]] = []
        try:
            at_end = False
            while waiting or not at_end:
                while not at_end and len(waiting) < ahead:
                    try:
                        item = await source.__anext__()
                    except StopAsyncIteration:
                        at_end = True
                        break
                    waiting.append(asyncio.wrap_future(self._future(function, (item,), {})))
                    if any(future.done() for future in (waiting[:1] if ordered else waiting)):
                        break
                if not waiting:
                    return
                if not ordered:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    done = next(future for future in waiting if future.done())
                else:
                    done = waiting[0]
                waiting.remove(done)
                yield await done
        finally:
            for future in waiting:
                future.cancel()


async def _as_async(iterable: Any) -> AsyncIterator[Any]:
    if hasattr(iterable, "__aiter__"):
        async for item in iterable:
            yield item
    else:
        for item in iterable:
            yield item
