"""What Python 3.14 has of managers' objects and their proxies, for the Pythons before it.

On 3.14 and later the stdlib's own are used. The classes here derive from those of the running Python, so that
`isinstance` holds for either.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import MutableSet
from multiprocessing import managers as _managers
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar

__all__ = [
    "AcquirerProxy",
    "BoundedSemaphore",
    "Condition",
    "ConditionProxy",
    "DictProxy",
    "ListProxy",
    "RLock",
    "Semaphore",
    "SetProxy",
]

if TYPE_CHECKING or sys.version_info < (3, 14):
    _stdlib: Any = _managers

    class AcquirerProxy(_stdlib.AcquirerProxy):  # type: ignore[misc]
        """A lock or semaphore in the server."""

        _exposed_: ClassVar[tuple[str, ...]] = ("acquire", "release", "locked")

        def locked(self) -> bool:
            """Whether it is held; of a semaphore, whether it has no permit left."""
            held: bool = self._callmethod("locked")
            return held

    class ConditionProxy(AcquirerProxy, _stdlib.ConditionProxy):  # type: ignore[misc]
        """A condition variable in the server."""

        _exposed_: ClassVar[tuple[str, ...]] = ("acquire", "release", "locked", "wait", "notify", "notify_all")

    class ListProxy(_stdlib.ListProxy):  # type: ignore[misc]
        """A list in the server."""

        _exposed_: ClassVar[tuple[str, ...]] = (*_stdlib.ListProxy._exposed_, "clear", "copy")
        __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

        def clear(self) -> None:
            self._callmethod("clear")

        def copy(self) -> list[Any]:
            """The list itself, in this process."""
            copied: list[Any] = self._callmethod("copy")
            return copied

    class DictProxy(_stdlib.DictProxy):  # type: ignore[misc]
        """A dict in the server."""

        _exposed_: ClassVar[tuple[str, ...]] = (
            *_stdlib.DictProxy._exposed_,
            "__ior__",
            "__or__",
            "__ror__",
            "__reversed__",
            "fromkeys",
        )
        _method_to_typeid_ = _stdlib.DictProxy._method_to_typeid_
        __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

        def __or__(self, other: Any) -> Any:
            return self._callmethod("__or__", (other,))

        def __ror__(self, other: Any) -> Any:
            return self._callmethod("__ror__", (other,))

        def __ior__(self, other: Any) -> Any:
            self._callmethod("__ior__", (other,))
            return self

        def __reversed__(self) -> Any:
            return reversed(list(self.keys()))

        def fromkeys(self, *arguments: Any) -> Any:
            """A dict in this process."""
            return self._callmethod("fromkeys", arguments)

    _SET_METHODS = (
        *("__and__", "__contains__", "__iter__", "__len__", "__or__", "__sub__", "__xor__"),
        *("__rand__", "__ror__", "__rsub__", "__rxor__", "__ge__", "__gt__", "__le__", "__lt__"),
        *("add", "clear", "copy", "discard", "pop", "remove", "update", "union"),
        *("difference", "difference_update", "intersection", "intersection_update"),
        *("isdisjoint", "issubset", "issuperset", "symmetric_difference", "symmetric_difference_update"),
    )
    _SET_UPDATES = ("__iand__", "__ior__", "__isub__", "__ixor__")

    class SetProxy(_stdlib.MakeProxyType("_SetProxyMethods", _SET_METHODS)):  # type: ignore[misc]
        """A set in the server."""

        _exposed_: ClassVar[tuple[str, ...]] = (*_SET_METHODS, *_SET_UPDATES)
        __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

        def __iand__(self, other: Any) -> Any:
            self._callmethod("__iand__", (other,))
            return self

        def __ior__(self, other: Any) -> Any:
            self._callmethod("__ior__", (other,))
            return self

        def __isub__(self, other: Any) -> Any:
            self._callmethod("__isub__", (other,))
            return self

        def __ixor__(self, other: Any) -> Any:
            self._callmethod("__ixor__", (other,))
            return self

    MutableSet.register(SetProxy)
    _ThreadRLock: type[Any] = type(threading.RLock())

    class RLock(_ThreadRLock):  # type: ignore[misc]
        """A lock in the server that its holder may take again."""

        def locked(self) -> bool:
            """Whether somebody holds it."""
            # Its state is nowhere else to be seen; to try it would for an instant keep it from others.
            return repr(self).startswith("<locked")

    class Condition(threading.Condition):
        """A condition variable in the server."""

        def __init__(self, lock: Any = None) -> None:
            super().__init__(RLock() if lock is None else lock)

        def locked(self) -> bool:
            """Whether somebody holds its lock."""
            held: bool = self._lock.locked()  # type: ignore[attr-defined]
            return held

else:
    from multiprocessing.managers import AcquirerProxy, ConditionProxy, DictProxy, ListProxy, SetProxy
    from threading import Condition, RLock


class Semaphore(threading.Semaphore):
    """A semaphore in the server."""

    def locked(self) -> bool:
        """Whether it has no permit left."""
        return self._value == 0


class BoundedSemaphore(threading.BoundedSemaphore):
    """A semaphore in the server that refuses to go above its first value."""

    def locked(self) -> bool:
        """Whether it has no permit left."""
        return self._value == 0
