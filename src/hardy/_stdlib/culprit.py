"""Which part of an object cannot be pickled: the path to it, in the user's own terms."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from hardy._stdlib.reducers import LiveDispatchTable

__all__ = ["find_culprit", "mend", "type_name"]

_DEEPEST = 30
_WIDEST = 10_000


class _Probe(pickle.Pickler):
    dispatch_table = LiveDispatchTable()


def _fails(obj: Any) -> bool:
    try:
        _Probe(io.BytesIO(), 5).dump(obj)
    except Exception:
        return True
    return False


def _parts(obj: Any) -> Iterator[tuple[str, Any]]:
    """What an object is made of, each with its place (`[0]`, `['key']`, `.attribute`)."""
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield f".<key {key!r:.60}>", key
            yield f"[{key!r:.60}]", value
    elif isinstance(obj, (list, tuple)):
        for i, value in enumerate(obj):
            yield f"[{i}]", value
    elif isinstance(obj, (set, frozenset)):
        for value in obj:
            yield f".<element {value!r:.60}>", value
    state = getattr(obj, "__dict__", None)
    if isinstance(state, dict) and not isinstance(obj, type):
        for name, value in state.items():
            yield f".{name}", value
    for kind in type(obj).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(obj, name):
                yield f".{name}", getattr(obj, name)
    owner = getattr(obj, "__self__", None)
    if owner is not None and callable(obj):
        yield ".__self__", owner


def find_culprit(obj: Any) -> tuple[str, Any]:
    """The path from `obj` to the innermost part that cannot be pickled, and that part.

    Returns:
        A path such as `[2].session` ("" when it is `obj` itself), and the culprit.
    """
    path = ""
    seen = {id(obj)}
    for _ in range(_DEEPEST):
        for count, (place, part) in enumerate(_parts(obj)):
            if count > _WIDEST:
                return path, obj
            if id(part) not in seen and _fails(part):
                seen.add(id(part))
                path += place
                obj = part
                break
        else:
            break
    return path, obj


def type_name(kind: type) -> str:
    """A type as one writes it: builtins without their module."""
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def mend(culprit: Any) -> str:
    """What to do instead of sending it, as the end of a sentence."""
    if isinstance(culprit, FunctionType):
        return "define it with `def` at the top level of a module that the receiver can import"
    if isinstance(culprit, type):
        return "define the class at the top level of a module that the receiver can import"
    return "send plain data, and build the rest in the receiver"
