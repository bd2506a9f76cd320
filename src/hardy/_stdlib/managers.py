"""The stdlib's managers, whose server is a process of hardy's: it ends with the one that started it."""

from __future__ import annotations

from multiprocessing import managers as _managers
from typing import Any

from hardy._stdlib.default import current_context

__all__ = ["BaseManager", "SharedMemoryManager", "SyncManager"]


class BaseManager(_managers.BaseManager):
    """The stdlib's base manager, with the processes of the given context, or of the default one.

    Args:
        address: where the server listens; None: it chooses.
        authkey: what server and clients must share; None: that of this process.
        serializer: "pickle" or "xmlrpclib".
        ctx: the context that starts the server.
        **options: those of the running Python's (`shutdown_timeout`, since 3.11).
    """

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(address, authkey, serializer, ctx or current_context(), **options)


class SyncManager(BaseManager, _managers.SyncManager):
    """The stdlib's manager of dicts, lists, locks and queues; see `BaseManager`."""


def _pool(*args: Any, **kwds: Any) -> Any:
    return current_context().Pool(*args, **kwds)


SyncManager.register("Pool", _pool, _managers.PoolProxy)  # type: ignore[attr-defined]


class SharedMemoryManager(BaseManager, _managers.SharedMemoryManager):
    """The stdlib's manager of shared memory blocks, which go when it ends; see `BaseManager`."""
