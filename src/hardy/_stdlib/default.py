"""The default context, for what stands below the contexts and is made without one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from multiprocessing import context as _context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["current_context", "registered_context", "set_current_context"]

_get_context: Callable[[], Any] | None = None


def set_current_context(get_context: Callable[[], Any]) -> None:
    """Say where the context in force is to be had; `hardy.context` does so when it is imported."""
    global _get_context
    _get_context = get_context


def current_context() -> Any:
    """The context in force for those who name none: hardy's, never the stdlib's."""
    if _get_context is None:
        # Nobody has asked for a context by name.
        import_module("hardy.context")
    assert _get_context is not None
    return _get_context()


def registered_context(method: str) -> Any:
    """The context that a library (loky) has put among the stdlib's own.

    Raises:
        KeyError: there is none of that name.
    """
    return _context._concrete_contexts[method]  # type: ignore[attr-defined]
