"""Which part of an object cannot be pickled: the path to it, in the user's own terms."""

from __future__ import annotations

from functools import partial
from types import CodeType, FunctionType

from hardy.errors import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Attempt = Callable[[Any], object]

__all__ = ["describe", "find_culprit", "mend"]

_DEEPEST = 30
_WIDEST = 10_000
# Who defines one of these says itself what of it travels.
_OWN_PICKLING = ("__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
_CONTAINERS = (dict, list, tuple, set, frozenset)


def _fails(obj: Any, attempt: Attempt) -> bool:
    try:
        attempt(obj)
    except Exception:
        return True
    return False


def _parts(obj: Any, into_functions: bool) -> Iterator[tuple[str, Any]]:
    """What an object is made of, each with its place (`[0]`, `['key']`, `.attribute`)."""
    if into_functions and isinstance(obj, FunctionType):
        yield from _variables(obj)
    if isinstance(obj, _CONTAINERS):
        yield from _items(obj)
    owner = getattr(obj, "__self__", None)
    if owner is not None and callable(obj):
        yield ".__self__", owner
    elif isinstance(obj, partial):
        yield from ((".func", obj.func), (".args", obj.args), (".keywords", obj.keywords))
    elif isinstance(obj, type):
        if into_functions:
            yield from ((f".{name}", value) for name, value in vars(obj).items() if not name.startswith("__"))
    elif any(name in kind.__dict__ for kind in type(obj).__mro__[:-1] for name in _OWN_PICKLING):
        yield from _reduced(obj)
    else:
        yield from _attributes(obj)
    if into_functions and not isinstance(obj, type):
        yield ".__class__", type(obj)


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function takes along that travels by value: its defaults, and the variables from outside that it uses."""
    for i, value in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{i}]", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f".__kwdefaults__[{name!r}]", value
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield f".<variable {name}>", cell.cell_contents
        except ValueError:
            continue  # it has no value yet
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f".<variable {name}>", function.__globals__[name]


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _global_names(inner)


def _items(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield f".<key {key!r:.60}>", key
            yield f"[{key!r:.60}]", value
    elif isinstance(obj, (list, tuple)):
        for i, value in enumerate(obj):
            yield f"[{i}]", value
    else:
        for value in obj:
            yield f".<element {value!r:.60}>", value


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    state = getattr(obj, "__dict__", None)
    if isinstance(state, dict):
        for name, value in state.items():
            yield f".{name}", value
    for kind in type(obj).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(obj, name):
                yield f".{name}", getattr(obj, name)


def _reduced(obj: Any) -> Iterator[tuple[str, Any]]:
    """The parts of an object whose class says what of it is pickled."""
    try:
        reduced = obj.__reduce_ex__(4)
    except Exception:
        return
    if not isinstance(reduced, tuple):
        return
    _, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    for part in state if isinstance(state, tuple) and len(state) == 2 else (state,):
        if isinstance(part, dict):
            yield from ((f".{name}", value) for name, value in part.items())
        elif part is not None:
            yield ".<state>", part
    if not isinstance(obj, _CONTAINERS):
        yield from ((f"[{i}]", value) for i, value in enumerate(items or ()))
        yield from ((f"[{key!r:.60}]", value) for key, value in pairs or ())
    yield from ((f".<argument {i}>", value) for i, value in enumerate(arguments) if not isinstance(value, type))


def find_culprit(obj: Any, attempt: Attempt, *, into_functions: bool = False) -> tuple[str, Any]:
    """The path from `obj` to the innermost part that cannot be pickled, and that part.

    Args:
        obj: what could not be pickled.
        attempt: pickles an object; raises when that cannot be done.
        into_functions: whether functions and classes travel by value, so that the culprit may be in one.

    Returns:
        A path such as `[2].session` ("" when it is `obj` itself), and the culprit.
    """
    path = ""
    seen = {id(obj)}
    for _ in range(_DEEPEST):
        for count, (place, part) in enumerate(_parts(obj, into_functions)):
            if count > _WIDEST:
                return path, obj
            if id(part) not in seen and _fails(part, attempt):
                seen.add(id(part))
                path += place
                obj = part
                break
        else:
            break
    return path, obj


def describe(culprit: Any) -> str:
    """Its type, and of functions and classes which one it is and where it was written."""
    kind = type_name(type(culprit))
    if isinstance(culprit, FunctionType):
        code = culprit.__code__
        name = "a lambda" if culprit.__name__ == "<lambda>" else culprit.__qualname__
        return f"{kind} ({name}, {code.co_filename}, line {code.co_firstlineno})"
    if isinstance(culprit, type):
        return f"{kind} (the class {culprit.__qualname__} of {culprit.__module__})"
    return kind


def mend(culprit: Any, receiver: str = "the receiver") -> str:
    """What to do instead of sending it, as the end of a sentence."""
    if isinstance(culprit, FunctionType):
        return f"define it with `def` at the top level of a module that {receiver} can import"
    if isinstance(culprit, type):
        return f"define the class at the top level of a module that {receiver} can import"
    return f"send plain data, and build the rest in {receiver}"
