"""Names of `multiprocessing` and of its modules, replaced by others."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["replace_default_context", "replace_names"]

# Each of these has bound the stdlib's own `get_context` when it was imported.
_BOUND = ("multiprocessing.managers", "multiprocessing.pool", "multiprocessing.sharedctypes")


def replace_default_context(default: Any, concrete: Mapping[str, Any]) -> None:
    """Make `default` what `multiprocessing` itself offers, and `concrete` the contexts of each start method."""
    for name in multiprocessing.__all__:
        setattr(multiprocessing, name, getattr(default, name))
    context: Any = multiprocessing.context
    context._concrete_contexts.update(concrete)
    for module in _BOUND:
        replace_names(module, {"get_context": default.get_context})


def replace_names(module: str, names: Mapping[str, Any]) -> None:
    """Replace names of a module of the stdlib, which is imported if need be."""
    imported = importlib.import_module(module)
    for name, value in names.items():
        setattr(imported, name, value)
