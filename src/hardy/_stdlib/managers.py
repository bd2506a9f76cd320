"""The stdlib's managers, whose server is a process of hardy's: it ends with the one that started it.

They have what Python 3.14's have, on every Python: `set()`, `locked()`, all methods of lists and dicts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from multiprocessing import managers as _managers
from typing import TYPE_CHECKING, Any

from hardy._stdlib import manager_client, proxies
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

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """Start the server.

        Differs from the stdlib: without an address it listens where no path leads, so that nothing is left when it
        is killed. Who does not know the key is refused there as elsewhere.
        """
        private: Any = self
        if private._address is None:
            private._address = manager_client.make_address(type(self).__name__)
        super().start(initializer, initargs)
        private._process.ended_at_exit = True
        manager_client.started(private._address, private._process)

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        token, exposed = super()._create(typeid, *args, **kwds)  # type: ignore[misc]
        return manager_client.Token(token.typeid, token.address, token.id), exposed


class SyncManager(BaseManager, _managers.SyncManager):
    """The stdlib's manager of dicts, lists, sets, locks and queues; see `BaseManager`."""

    if TYPE_CHECKING:

        def set(self, iterable: Iterable[Any] = ()) -> proxies.SetProxy: ...


def _pool(*args: Any, **kwds: Any) -> Any:
    return current_context().Pool(*args, **kwds)


_register: Any = SyncManager.register
_register("Pool", _pool, _managers.PoolProxy)  # type: ignore[attr-defined]
_register("list", list, proxies.ListProxy)
_register("dict", dict, proxies.DictProxy)
_register("set", set, proxies.SetProxy)
_register("Lock", threading.Lock, proxies.AcquirerProxy)
_register("RLock", proxies.RLock, proxies.AcquirerProxy)
_register("Semaphore", proxies.Semaphore, proxies.AcquirerProxy)
_register("BoundedSemaphore", proxies.BoundedSemaphore, proxies.AcquirerProxy)
_register("Condition", proxies.Condition, proxies.ConditionProxy)


class SharedMemoryManager(BaseManager, _managers.SharedMemoryManager):
    """The stdlib's manager of shared memory blocks, which go when it ends; see `BaseManager`."""
