"""The stdlib's `Pool` and `ProcessPoolExecutor`, which reach for the pipes inside of the stdlib's own `SimpleQueue`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from multiprocessing import pool as _pool
from multiprocessing.queues import SimpleQueue
from typing import Any

__all__ = ["Pool", "asked_by_executor", "pipe_queue"]

_EXECUTOR = "concurrent.futures.process"


class Pool(_pool.Pool):
    """The stdlib's pool, with the processes and locks of the context that makes it."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(processes, initializer, initargs, maxtasksperchild, _WithPipes(context))


class _WithPipes:
    """A context, but for the simple queues: these are the stdlib's."""

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def SimpleQueue(self) -> SimpleQueue[Any]:  # noqa: N802
        return pipe_queue(self._ctx)


def pipe_queue(ctx: Any) -> SimpleQueue[Any]:
    """The stdlib's simple queue, with the locks of `ctx`: one whose pipe can be waited for and read."""
    return SimpleQueue(ctx=ctx)


def asked_by_executor() -> bool:
    """Whether the caller's caller is `ProcessPoolExecutor`.

    It takes its context as it is, asks it for a `SimpleQueue`, and waits for that queue's pipe in a thread. With a
    queue that has none the thread dies, and every `result()` waits for ever. It offers no other place to step in.
    """
    return sys._getframe(2).f_globals.get("__name__") == _EXECUTOR
