"""The private state of `multiprocessing.process`: who we are, our children, our parent."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from multiprocessing import process as _process
from multiprocessing import util as _util
from multiprocessing.process import BaseProcess

__all__ = [
    "StdlibProcess",
    "add_child",
    "change_parent_process",
    "discard_child",
    "flush_std_streams",
    "forget_ended_children",
    "is_bootstrapping",
    "leave_fork",
    "make_stdin_ready",
    "prepare_exit",
    "set_join_of_main",
    "set_parent_process",
    "set_stdin_aside",
    "take_stdin",
]

# Up to 3.12 `BaseProcess._bootstrap` itself joins the children; later, whoever forked must do so
# through atexit, so that functions registered in the child run too.
_BOOTSTRAP_JOINS = "_exit_function" in BaseProcess._bootstrap.__code__.co_names  # type: ignore[attr-defined]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import TextIOWrapper
    from typing import Any

    class StdlibProcess(BaseProcess):
        """The stdlib's process with the private members that hardy builds upon."""

        _popen: Any
        _closed: bool
        _config: dict[str, Any]
        _identity: tuple[int, ...]
        _name: str
        _parent_name: str
        _parent_pid: int
        _sentinel: int
        _start_method: str | None
        _target: Any
        _args: Any
        _kwargs: Any

        def _check_closed(self) -> None: ...
        def _bootstrap(self, parent_sentinel: int | None = None) -> int: ...
        @staticmethod
        def _Popen(process_obj: Any) -> Any: ...  # noqa: N802
        @staticmethod
        def _after_fork() -> None: ...

else:
    StdlibProcess = BaseProcess


# So that what is in their buffers is not written twice.
flush_std_streams = _util._flush_std_streams  # type: ignore[attr-defined]
# Takes all ended processes out of `active_children()`.
forget_ended_children = _process._cleanup  # type: ignore[attr-defined]


def add_child(process: BaseProcess) -> None:
    """Count a started process among `active_children()`."""
    _process._children.add(process)  # type: ignore[attr-defined]


def discard_child(process: BaseProcess) -> None:
    """Take an ended process out of `active_children()`."""
    _process._children.discard(process)  # type: ignore[attr-defined]


def is_bootstrapping() -> bool:
    """Whether this process is a child that does not have its process object yet."""
    return getattr(_process.current_process(), "_inheriting", False)


def set_parent_process(parent: BaseProcess | None) -> None:
    """What `parent_process()` gives from now on, in a child."""
    _process._parent_process = parent  # type: ignore[attr-defined]


def change_parent_process(cls: type[BaseProcess]) -> None:
    """Have what the stdlib has made for `parent_process()`, in a child, be of that class."""
    _process._parent_process.__class__ = cls  # type: ignore[attr-defined]


def set_join_of_main(join: Callable[..., None]) -> None:
    """What `current_process().join()` does in a program's first process, whose object is the stdlib's."""
    main = _process.current_process()
    # The stdlib deletes the name of that class.
    if type(main).__name__ == "_MainProcess":
        main.join = join  # type: ignore[method-assign]


# The standard input of a forked child is empty. The stdlib opens /dev/null in each, for which it copies 45 pages, a
# tenth of what it copies in all. Ours is made in the parent, once:
#
#   parent: make ready        child: set aside -> the stdlib's `_bootstrap`, which then leaves it alone -> take
_empty_stdin: TextIOWrapper | None = None
_stdin_is_aside = False


def make_stdin_ready() -> None:
    """In the parent, before a fork."""
    global _empty_stdin
    if _empty_stdin is None or _empty_stdin is sys.stdin or _empty_stdin.closed:
        from hardy._stdlib.stdin import empty_stdin

        _empty_stdin = empty_stdin()


def set_stdin_aside() -> None:
    """In the child: close the parent's, as the stdlib does."""
    global _stdin_is_aside
    if _empty_stdin is None or sys.stdin is None:
        return
    try:
        sys.stdin.close()
    except (OSError, ValueError):
        pass  # the program has closed what is below it
    sys.stdin = None
    _stdin_is_aside = True


def take_stdin() -> None:
    """In the child, after that."""
    global _stdin_is_aside
    if _stdin_is_aside:
        sys.stdin = _empty_stdin
        _stdin_is_aside = False


def prepare_exit() -> None:
    """At the start of a forked child: forget the parent's atexit functions, keep the joining of children."""
    if not _BOOTSTRAP_JOINS:
        atexit._clear()
        atexit.register(_util._exit_function)  # type: ignore[attr-defined]


def leave_fork(code: int) -> None:
    """End a forked child."""
    try:
        if not _BOOTSTRAP_JOINS:
            atexit._run_exitfuncs()
    finally:
        os._exit(code)
