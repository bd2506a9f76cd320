"""What pickle cannot carry to a new interpreter, and cloudpickle can.

Pickle sends a function or class as the name that the child is to import it by. What has no such name (lambdas, local
functions, all that is typed into an interpreter or a notebook) travels by value, if cloudpickle is installed: the extra
`hardy[cloudpickle]`. It is asked only when pickle has failed, for it is slower, and what it rebuilds is a copy: two
functions that share a global variable here no longer share it there.
"""

from __future__ import annotations

import functools
import io
from collections import ChainMap
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from types import FunctionType

from hardy._stdlib.main_module import main_is_importable, reaches_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CLOUDPICKLE_MEND",
    "Unreachable",
    "check_all",
    "check_all_reachable",
    "dumps_by_value",
    "has_cloudpickle",
]

CLOUDPICKLE_MEND = "pip install 'hardy[cloudpickle]', with which it travels as it is"


class Unreachable(Exception):
    """Something is pickled by its name in `__main__`, which the child cannot import."""


class _Check(ForkingPickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, FunctionType)) and obj.__module__ == "__main__" and not reaches_child(obj):
            raise Unreachable(
                f"{obj.__qualname__!r} is defined in __main__, which is no file that a child could import"
            )
        return NotImplemented


def check_all(obj: Any) -> None:
    """Refuse what pickle does not take, and functions and classes that the child would look up in vain.

    Raises:
        Unreachable: one is defined in `__main__`, and that is no file.
        Exception: of pickle.
    """
    _Check(io.BytesIO(), 5).dump(obj)


def check_all_reachable(obj: Any, pickled: bytes) -> None:
    """The same for an object that pickle takes.

    Raises:
        Unreachable: as above.
    """
    if b"__main__" in pickled and not main_is_importable():
        check_all(obj)


def has_cloudpickle() -> bool:
    """Whether the extra is installed."""
    try:
        import_module("cloudpickle")
    except ImportError:
        return False
    return True


def dumps_by_value(obj: Any) -> bytes | None:
    """Pickle with cloudpickle and with the reducers that the program registered.

    Returns:
        None when it is not installed.

    Raises:
        Exception: it cannot either.
    """
    if not has_cloudpickle():
        return None
    stream = io.BytesIO()
    _by_value_pickler()(stream, 5).dump(obj)
    return stream.getvalue()


@functools.cache
def _by_value_pickler() -> Any:
    pickler: Any = import_module("cloudpickle").CloudPickler
    extra = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    refused = dict.fromkeys((io.TextIOWrapper, memoryview), _refuse)
    table = ChainMap(extra, refused, pickler.dispatch_table)
    return type("_ByValue", (pickler,), {"dispatch_table": table})


def _refuse(obj: Any) -> Any:
    """Cloudpickle would send what is in it, and the child would write into a copy."""
    raise TypeError(f"cannot pickle {type(obj).__name__!r} object")
