"""The default context, for what stands below the contexts and is made without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["current_context", "set_current_context"]

_get_context: Callable[[], Any]


def set_current_context(get_context: Callable[[], Any]) -> None:
    """Say where the context in force is to be had; `hardy.context` does so when it is imported."""
    global _get_context
    _get_context = get_context


def current_context() -> Any:
    """The context in force for those who name none: hardy's, never the stdlib's."""
    return _get_context()
