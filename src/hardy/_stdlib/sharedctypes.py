"""The stdlib's shared ctypes objects, guarded by hardy's locks: a dead holder does not keep them."""

from __future__ import annotations

from multiprocessing import sharedctypes as _sharedctypes
from typing import Any

from hardy._stdlib.default import current_context

__all__ = ["Array", "Value", "synchronized"]


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """A ctypes object in shared memory, with a lock of the given context, or of the default one."""
    return _sharedctypes.Value(typecode_or_type, *args, lock=lock, ctx=ctx or current_context())


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:  # noqa: N802
    """A ctypes array in shared memory, with a lock of the given context, or of the default one."""
    return _sharedctypes.Array(typecode_or_type, size_or_initializer, lock=lock, ctx=ctx or current_context())


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """A ctypes object with a lock about it: the given one, or a new one of the context."""
    return _sharedctypes.synchronized(obj, lock, ctx or current_context())
