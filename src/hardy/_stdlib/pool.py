"""The stdlib's `Pool`, which reaches for the pipes inside of the stdlib's own `SimpleQueue`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing import pool as _pool
from multiprocessing.queues import SimpleQueue
from typing import Any

from hardy._stdlib.default import current_context

__all__ = ["Pool"]


class Pool(_pool.Pool):
    """The stdlib's pool, with the processes and locks of the context that makes it, or of the default one."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        ctx = _WithPipes(context or current_context())
        super().__init__(processes, initializer, initargs, maxtasksperchild, ctx)


class _WithPipes:
    """A context, but for the simple queues: these are the stdlib's."""

    def __init__(self, ctx: Any) -> None:
        self._ctx = ctx

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def SimpleQueue(self) -> SimpleQueue[Any]:  # noqa: N802
        return SimpleQueue(ctx=self._ctx)
