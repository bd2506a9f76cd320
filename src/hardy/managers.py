"""Objects that live in a server process: the stdlib's `multiprocessing.managers`, the server being one of hardy's."""

from multiprocessing.managers import (  # type: ignore[attr-defined] # typeshed lacks some
    ArrayProxy,
    AutoProxy,
    BarrierProxy,
    BaseProxy,
    EventProxy,
    IteratorProxy,
    MakeProxyType,
    Namespace,
    NamespaceProxy,
    PoolProxy,
    RebuildProxy,
    RemoteError,
    Server,
    SharedMemoryServer,
    Token,
    ValueProxy,
)

from hardy._stdlib.fallback import names_of_stdlib
from hardy._stdlib.managers import BaseManager, SharedMemoryManager, SyncManager
from hardy._stdlib.proxies import AcquirerProxy, ConditionProxy, DictProxy, ListProxy, SetProxy

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "Namespace",
    "NamespaceProxy",
    "PoolProxy",
    "RebuildProxy",
    "RemoteError",
    "Server",
    "SetProxy",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "SyncManager",
    "Token",
    "ValueProxy",
]

__getattr__ = names_of_stdlib(__name__)
