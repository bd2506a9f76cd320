"""Which queues a new process is given: it can put into them from its start on, before it first does.

The end of a stream (see `hardy._ipc.stream`) must wait for a producer that is slow to begin, and must not wait for a
process that has nothing to do with the queue, though under fork every child has a copy of every handle.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from hardy._core.ring import Ring

__all__ = ["entrusted_queues"]

# Enough for what programs pass, and no burden for one that passes a million objects.
_MOST_OBJECTS = 2000
_CONTAINERS = (list, tuple, set, frozenset)


def entrusted_queues(process: Any) -> list[Ring]:
    """The queues that the arguments, the attributes or the target of a process object refer to.

    Args:
        process: not yet started. Looked through are containers, instance attributes, closures, and the globals
            that the target's own code names.
    """
    found: dict[int, Ring] = {}
    seen: set[int] = set()
    waiting: list[Any] = [process.__dict__, type(process).run]
    while waiting and len(seen) < _MOST_OBJECTS:
        obj = waiting.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        if isinstance(obj, Ring):
            found[id(obj)] = obj
        else:
            waiting.extend(_referred(obj))
    return list(found.values())


def _referred(obj: Any) -> Iterator[Any]:
    if isinstance(obj, dict):
        yield from list(obj.values())
    elif isinstance(obj, _CONTAINERS):
        yield from list(obj)
    elif isinstance(obj, MethodType):
        yield obj.__self__
        yield obj.__func__
    elif isinstance(obj, FunctionType):
        if obj.__module__ and obj.__module__.startswith("hardy."):
            return  # what such a function looks up is no user's queue, and there is much of it
        yield from (cell.cell_contents for cell in obj.__closure__ or () if _is_filled(cell))
        names = _names(obj.__code__)
        yield from (obj.__globals__[name] for name in names if name in obj.__globals__)
        yield obj.__defaults__
    elif isinstance(obj, partial):
        yield from (obj.func, obj.args, obj.keywords)
    elif isinstance(getattr(obj, "__dict__", None), dict) and not isinstance(obj, (type, ModuleType)):
        # Not of a module: that would lead everywhere.
        yield obj.__dict__


def _names(code: CodeType) -> set[str]:
    """The names that a function's code, and that of the functions inside it, looks up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
