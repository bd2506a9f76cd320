"""The program's main module: how a child of `spawn` and `forkserver` gets it, and whether it may start processes there.

Such a child imports the main module anew, under another name, before it can rebuild its target. A line that starts a
process while a module is imported is therefore met by the child too, unless a main guard keeps it from it.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
from types import FrameType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator
    from typing import Any

    # A line of the user's program: its file, its number, its text.
    MainLine = tuple[str, int, str]

__all__ = [
    "import_main",
    "main_is_importable",
    "main_line",
    "reaches_child",
    "take_main",
    "unguarded_line",
]

_NAMES = ("__main__", "__mp_main__")
# Where the stdlib says what the child is to import.
_KEYS = ("init_main_from_name", "init_main_from_path")


def take_main(preparation: dict[str, Any]) -> tuple[str | None, str | None]:
    """Take the main module out of what a new interpreter is told, for the child to import it later.

    Returns:
        its name, its path: one of them, or None for both when there is nothing that a child could import.
    """
    name, path = (preparation.pop(key, None) for key in _KEYS)
    if path is not None and not os.path.exists(path):
        # What is typed or piped into an interpreter names a file that is none, `<stdin>`.
        path = None
    return name, path


def import_main(name: str | None, path: str | None) -> None:
    """In the child: import what `take_main` found.

    Raises:
        Exception: whatever the user's module raises.
    """
    from multiprocessing import spawn

    if name is not None:
        spawn._fixup_main_from_name(name)  # type: ignore[attr-defined]
    elif path is not None and not _import_source(path):
        spawn._fixup_main_from_path(path)  # type: ignore[attr-defined]


def _import_source(path: str) -> bool:
    """Import a main module that is a source file, and do no more than that.

    To find out what a file is, the stdlib imports `pkgutil`, and that `typing`: a twelfth of a start by spawn.

    Returns:
        False when nothing was done: it is imported already, or the stdlib knows better what it is.
    """
    from multiprocessing import spawn

    before = sys.modules["__main__"]
    stem, extension = os.path.splitext(os.path.basename(path))
    if extension != ".py" or stem == "ipython" or getattr(before, "__file__", None) == path:
        return False
    try:
        with io.open_code(path) as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return False  # it may be a zip file all the same
    spawn.old_main_modules.append(before)
    run: Any = spawn.runpy  # type: ignore[attr-defined]
    main = ModuleType("__mp_main__")
    main.__dict__.update(run._run_module_code(code, None, "__mp_main__", pkg_name="", script_name=path))
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    return True


def main_is_importable() -> bool:
    """Whether a child finds in its copy of the main module all that this process has in it."""
    # In an interactive session more may be typed than the file that began it has.
    return _has_file() and not hasattr(sys, "ps1") and not sys.flags.interactive


def reaches_child(obj: Any) -> bool:
    """Whether an object that is pickled by its name is found in the main module that the child imports.

    Args:
        obj: a function or class whose module is `__main__`.
    """
    code = getattr(obj, "__code__", None)
    if code is not None and not os.path.exists(code.co_filename):
        return False
    return _has_file()


def _has_file() -> bool:
    main = sys.modules["__main__"]
    if getattr(getattr(main, "__spec__", None), "name", None) is not None:
        return True
    file = getattr(main, "__file__", None)
    return file is not None and os.path.exists(file)


def main_line() -> MainLine | None:
    """The line of the main module that is running, on whose account a process is started now.

    Returns:
        None when the main module has run to its end, or is not a file.
    """
    import linecache

    frame: FrameType | None = sys._getframe()
    if threading.current_thread() is not threading.main_thread():
        frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") in _NAMES:
            file, line = frame.f_code.co_filename, frame.f_lineno
            source = linecache.getline(file, line, frame.f_globals).strip()
            return (file, line, source) if source else None
        frame = frame.f_back
    return None


def unguarded_line() -> MainLine | None:
    """The line of the main module that starts a process and that a child, importing the module, may come to as well.

    Returns:
        None when there is none, or when it stands under a condition on `__name__`.
    """
    found = main_line()
    if found is None:
        return None
    return None if _is_guarded(found[0], found[1]) else found


@functools.cache
def _is_guarded(file: str, line: int) -> bool:
    # Only here: to import `ast` takes as long as to start a process by fork.
    import ast
    import linecache

    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return True  # it runs all the same: what is on the disk is another program by now
    return any(node.lineno <= line <= (node.end_lineno or 0) for node in _guards(tree))


def _guards(tree: ast.Module) -> Iterator[ast.If]:
    import ast

    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and any(
            isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
        ):
            yield node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            waiting.extend(ast.iter_child_nodes(node))
