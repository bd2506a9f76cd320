"""A task's failure, on its way from the worker to whoever asked."""

from __future__ import annotations

import os
import pickle
import reprlib
import traceback
from collections.abc import Callable
from multiprocessing.process import current_process
from types import TracebackType
from typing import Any, NamedTuple

from hardy._exec.errors import CannotRebuild, TaskResultNotPicklable
from hardy._proc.child import pickle_error
from hardy._stdlib.refusal import Refusal
from hardy.errors import RemoteError, type_name

__all__ = ["Failure", "call_text", "not_picklable", "not_rebuilt", "raised", "rebuild"]

_OUR_FILES = {__file__, os.path.join(os.path.dirname(__file__), "worker.py")}


class Failure(NamedTuple):
    """How a task failed, in plain data.

    Attributes:
        kind: "raised", "not picklable" or "not rebuilt".
        pickled: the exception, or None when it cannot be pickled.
        type_name: its type; or that of the culprit in the result.
        text: its `repr`; or that of the result.
        trace: the traceback in the worker, with the call that failed.
        reason: why it cannot be pickled.
        path: where the culprit is in the result.
        who: the worker.
    """

    kind: str
    pickled: bytes | None
    type_name: str
    text: str
    trace: str
    reason: str
    path: str
    who: str


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60
        self.maxtuple = self.maxlist = self.maxset = self.maxdict = 4


_short = _Short()


def _repr(obj: object) -> str:
    try:
        return _short.repr(obj)
    except Exception as why:
        return f"<{type(obj).__name__}, whose repr raised {type(why).__name__}>"


def call_text(function: Any, args: Any, kwargs: Any) -> str:
    """A call as one writes it, its arguments shortened."""
    name = getattr(function, "__qualname__", None) or _repr(function)
    given = [_repr(arg) for arg in args] + [f"{key}={_repr(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(given)})"


def _who() -> str:
    return f"{current_process().name!r} (pid {os.getpid()})"


# ---- in the worker ----


def raised(error: BaseException, call: str) -> Failure:
    """The failure of a task that raised."""
    trace = "".join(traceback.format_exception(type(error), error, _without_our_frames(error.__traceback__)))
    who = _who()
    if call:
        trace += f"It was raised by {call} in {who}.\n"
    pickled, reason = pickle_error(error)
    return Failure("raised", pickled, type_name(type(error)), _full_repr(error), trace, reason, "", who)


def not_picklable(value: object, error: Exception, call: str) -> Failure:
    """The failure of a task whose result cannot travel."""
    why = error.__cause__ or error
    path, culprit, _ = Refusal.by_pickle(value, error)
    return Failure(
        "not picklable",
        None,
        type_name(type(culprit)),
        _repr(value),
        f"It was returned by {call}.\n",
        f"{type(why).__name__}: {why}",
        f"result{path}",
        _who(),
    )


def not_rebuilt(error: BaseException) -> Failure:
    """The failure of a task whose arguments cannot be rebuilt in the worker."""
    trace = "".join(traceback.format_exception(type(error), error, _without_our_frames(error.__traceback__)))
    return Failure("not rebuilt", None, type_name(type(error)), _full_repr(error), trace, "", "", _who())


def _full_repr(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception as why:
        return f"<{type(error).__name__}, whose repr raised {type(why).__name__}>"


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _OUR_FILES:
        trace = trace.tb_next
    return trace


# ---- in the parent ----


def rebuild(failure: Failure, task: str, cause: Callable[[str], BaseException], forks: bool) -> BaseException:
    """The error to raise for a failure.

    Args:
        failure: what the worker said.
        task: the task's name.
        cause: makes the exception that bears the worker's traceback.
        forks: whether the pool's workers are forked.
    """
    if failure.kind == "not picklable":
        return _not_picklable(failure, task)
    if failure.kind == "not rebuilt":
        error: BaseException = CannotRebuild(
            f"the arguments of task {task!r} cannot be rebuilt in {failure.who}: {failure.text}. The task was not "
            f"run; pool and worker go on. {_mend(failure, forks)}",
            type_name=failure.type_name,
            text=failure.text,
            traceback_text=failure.trace,
        )
    else:
        error = _raised(failure, task)
    error.__cause__ = cause(failure.trace)
    return error


def _mend(failure: Failure, forks: bool) -> str:
    if forks and failure.type_name == "AttributeError" and "Can't get attribute" in failure.text:
        return (
            "The worker was forked before that was defined, and has only what there was then: define it before the "
            "pool is made, or make the pool anew"
        )
    return "Is what they need importable there?"


def _raised(failure: Failure, task: str) -> BaseException:
    reason = failure.reason
    if failure.pickled is not None:
        try:
            error = pickle.loads(failure.pickled)
            if isinstance(error, BaseException):
                return error
            reason = f"it becomes a {type(error).__name__}"
        except BaseException as why:
            reason = f"{type(why).__name__}: {why}"
    return RemoteError(
        f"task {task!r} in {failure.who} raised {failure.text}, which cannot be carried over ({reason}); its "
        "traceback is the cause of this error",
        type_name=failure.type_name,
        text=failure.text,
        traceback_text=failure.trace,
    )


def _not_picklable(failure: Failure, task: str) -> TaskResultNotPicklable:
    error = TaskResultNotPicklable(
        f"task {task!r} ended well in {failure.who}, but what it returned, {failure.text}, cannot be sent back: "
        f"{failure.path} is a {failure.type_name}, which cannot be pickled ({failure.reason}). Return plain data",
        type_name=failure.type_name,
        path=failure.path,
    )
    error.exc = failure.reason
    error.value = failure.text
    return error
