"""The names of a module of the stdlib that hardy has no own for."""

from __future__ import annotations

import importlib
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["names_of_stdlib"]


def names_of_stdlib(facade: str) -> Callable[[str], Any]:
    """A `__getattr__` for a module of hardy that bears the name of one of multiprocessing.

    So that whatever can be imported there can be imported here, undocumented names and those of later Pythons too.

    Args:
        facade: the name of hardy's module.
    """
    module = f"multiprocessing.{facade.partition('.')[2]}"

    def find(name: str) -> Any:
        if not name.startswith("__"):
            try:
                return getattr(importlib.import_module(module), name)
            except AttributeError:
                pass  # said below, in the name of the module that was asked
        raise AttributeError(f"module {facade!r} has no attribute {name!r}, and neither has {module!r}")

    return find
