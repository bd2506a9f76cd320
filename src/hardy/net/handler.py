"""From `module:function` to the function, in a worker that has not imported the module before."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from hardy.net.options import check_handler

__all__ = ["CannotLoad", "load_handler"]

_MOST_TEXT = 3000


class CannotLoad(Exception):
    """A module cannot be imported, or has no such function; the text says why, and where."""


def load_handler(handler: Callable[[Any], Any] | str) -> Callable[[Any], Any]:
    """The function itself.

    Raises:
        CannotLoad: there is none.
    """
    if not isinstance(handler, str):
        return handler
    name, _, path = handler.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())
    # The cache of bytecode tells sources apart by the second and the size: an edit right after a start, of the same
    # length, would be taken for the old one at the next reload.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        found: Any = importlib.import_module(name)
        for part in path.split("."):
            found = getattr(found, part)
        check_handler(found)
    except (Exception, SystemExit) as error:
        raise CannotLoad(_explain(handler, name, error)) from error
    finally:
        sys.dont_write_bytecode = before
    return found  # type: ignore[no-any-return]


def _explain(handler: str, module: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{module}.".startswith(f"{error.name}."):
        return (
            f"there is no module {error.name!r}, which {handler!r} names: it is looked for in {os.getcwd()} and where "
            "Python looks for modules (PYTHONPATH)"
        )
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    if isinstance(error, AttributeError) and not theirs:
        return f"the module {module!r} has no such function: {error}"
    lines = [*traceback.format_list(theirs), *traceback.format_exception_only(type(error), error)]
    return f"{handler!r} cannot be loaded:\n{''.join(lines).rstrip()[-_MOST_TEXT:]}"
