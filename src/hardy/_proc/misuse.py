"""What bad use of a process is told, at the call, with the mend; of the type that the standard library raises there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from multiprocessing.process import current_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hardy._proc.process import BaseProcess

__all__ = [
    "check_arguments",
    "check_ours",
    "check_timeout",
    "refuse_join_of_main",
    "refuse_pickle",
    "refuse_restart",
    "who",
]


def check_arguments(target: object, name: object, args: object, kwargs: object, outlive_parent: object) -> None:
    """Refuse what cannot become a process.

    Raises:
        TypeError: with what was meant.
    """
    if target is not None and not callable(target):
        called = "; name the function without calling it, target=f, and give its arguments in args"
        raise TypeError(f"target must be callable or None, not {type(target).__name__}{called}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string or None, not {type(name).__name__}")
    # Asked at each start: what nearly everybody gives is not put to the abstract classes.
    if type(args) is tuple:
        pass
    elif isinstance(args, (str, bytes)) or not isinstance(args, Iterable):
        shown = f"{args!r:.60}"
        raise TypeError(f"args must be a tuple of arguments, not {shown}; one argument is written args=({shown},)")
    elif isinstance(args, Mapping) and args:
        raise TypeError(f"args must be a tuple of arguments, not a {type(args).__name__}; named arguments go to kwargs")
    if type(kwargs) is not dict and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs must be a dict of named arguments, not {type(kwargs).__name__}")
    for key in kwargs:
        if not isinstance(key, str):
            raise TypeError(f"kwargs must be a dict of named arguments, and {key!r:.60} is no name")
    if not isinstance(outlive_parent, bool):
        raise TypeError(f"outlive_parent must be True or False, not {type(outlive_parent).__name__}")


def check_timeout(timeout: object) -> None:
    """Refuse what is no number of seconds, at the call.

    Raises:
        TypeError: it is neither a number nor None.
        ValueError: it is not a number (nan).
    """
    if timeout is None:
        return
    if isinstance(timeout, (str, bytes)) or (not hasattr(timeout, "__float__") and not hasattr(timeout, "__index__")):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if timeout != timeout:
        raise ValueError("timeout must be a number of seconds or None, not nan")


def who(process: BaseProcess) -> str:
    """Name and pid, as every error has them."""
    popen = process.__dict__.get("_popen")
    pid = os.getpid() if process is current_process() else None if popen is None else popen.pid
    return repr(process._name) if pid is None else f"{process._name!r} (pid {pid})"


def refuse_restart(process: BaseProcess) -> NoReturn:
    """`start` was called before.

    Raises:
        AssertionError: always.
    """
    raise AssertionError(
        f"cannot start a process twice: {who(process)} has been started; make a new Process for each run of the target"
    )


def check_ours(process: BaseProcess, doing: str) -> None:
    """Only the process that made it may start it, wait for it and signal it.

    Args:
        process: any.
        doing: as in the standard library's own text, `join a child process`.

    Raises:
        AssertionError: this is another process.
    """
    here = os.getpid()
    if process._parent_pid == here:
        return
    if process is current_process():
        raise AssertionError(
            f"can only {doing}: {who(process)} is this very process, which would wait for itself for ever; "
            "return from the target to end it"
        )
    raise AssertionError(
        f"can only {doing}: {who(process)} was made by process {process._parent_pid}, and this is process {here}; "
        "do it there, or let the two talk through a queue or an event"
    )


def refuse_join_of_main(timeout: float | None = None) -> None:
    """`current_process().join()` in the process that began the program.

    Raises:
        AssertionError: always.
    """
    check_ours(current_process(), "join a child process")  # type: ignore[arg-type]


def refuse_pickle(process: BaseProcess) -> NoReturn:
    """A process object stands for a process of its parent's.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        f"the process object {who(process)} cannot be sent to another process: only the one that made it can wait for "
        "it. Send what is wanted of it, its pid, its name or its result()"
    )
