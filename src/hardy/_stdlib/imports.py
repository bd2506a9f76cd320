"""Imports that other threads were in the midst of when this process was forked."""

from __future__ import annotations

import sys
from importlib import _bootstrap

__all__ = ["begin_imports_again"]


def begin_imports_again() -> None:
    """In a child that a thread forked which imports nothing itself: forget the imports that others had begun.

    Their locks would be held for ever, by nobody, and their modules stay half made. Whoever wants one imports it anew.
    """
    _bootstrap._module_locks.clear()  # type: ignore[attr-defined] # typeshed lacks it
    for name, module in list(sys.modules.items()):
        if getattr(getattr(module, "__spec__", None), "_initializing", False):
            del sys.modules[name]
