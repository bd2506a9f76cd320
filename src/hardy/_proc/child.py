"""The child's side of a start: arm the lifeline, run, and say how it went.

A forked child is armed by the core before any Python runs. One that begins as a new interpreter (spawn,
forkserver) is armed by unpickling `Arming`, the first thing that it reads, before the user's modules
are imported.
"""

from __future__ import annotations

import io
import os
import pickle
from multiprocessing.process import current_process

from hardy._core import board, lifeline, runtime, tracer
from hardy._proc import told
from hardy._proc.outcome import RETURNED_NONE, Kind, OutcomeFile
from hardy._stdlib.reducers import LiveDispatchTable
from hardy.errors import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from hardy._sync.handles import PackedSegment

__all__ = ["arm", "describe", "dumps", "pickle_error", "record", "result_file"]

runtime._declare("proc.child.before_arm", "proc.child.before_run", "proc.child.after_run")

_OUR_FILES = {__file__, os.path.join(os.path.dirname(__file__), "process.py")}
_result_file: OutcomeFile | None = None


def arm(parent: Any, outlives: bool, by_thread: bool, slot: int, packed: PackedSegment, result: Any) -> None:
    """In a new interpreter: take up the lifeline, the board and the outcome file that the parent handed over.

    Args:
        parent: the parent's pidfd, as a DupFd.
        outlives: whether this process was told to outlive its parent.
        by_thread: whether the parent's main thread started it.
        slot: its place on the board.
        packed: the board.
        result: the outcome file, as a DupFd.
    """
    global _result_file
    from hardy._sync.handles import unpack_segment

    runtime.hit("proc.child.before_arm")
    lifeline.arm(_own(parent), outlives, by_thread)
    board.adopt(unpack_segment(packed))
    lifeline.announce(slot)
    _result_file = OutcomeFile(_own(result))


def _own(passed: Any) -> int:
    fd = int(passed.detach())
    # Handed over for this process alone: programs that it starts must not get it.
    os.set_inheritable(fd, False)
    return fd


def result_file() -> OutcomeFile | None:
    """The outcome file that `arm` took up."""
    return _result_file


def dumps(obj: Any) -> bytes:
    """Pickle with the reducers that the program registered.

    Raises:
        Exception: whatever the pickling raises.
    """
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 5)
    pickler.dispatch_table = LiveDispatchTable()
    pickler.dump(obj)
    return stream.getvalue()


def record(run: Callable[[], Any], file: OutcomeFile) -> None:
    """Run the process's work and commit how it ended; what it raised goes on."""
    runtime.hit("proc.child.before_run")
    try:
        value = _run_seen(run) if tracer.active() or told.observer is not None else run()
    except SystemExit as error:
        file.commit(*_exited(error))
        raise
    except KeyboardInterrupt as error:
        # Ctrl-C reaches every process of the program; the one traceback is that of the parent, which waits for us.
        file.commit(Kind.RAISED, describe(error, _without_our_frames(error.__traceback__)))
        raise SystemExit(1) from None
    except BaseException as error:
        file.commit(Kind.RAISED, describe(error, _without_our_frames(error.__traceback__)))
        raise
    runtime.hit("proc.child.after_run")
    if value is None:
        file.commit_page(RETURNED_NONE)
    else:
        file.commit(*_returned(value))


def _run_seen(run: Callable[[], Any]) -> Any:
    this = current_process()
    tracer.started(this.name, runtime.identity_of(os.getppid()))
    observer = told.observer
    try:
        if observer is None:
            return run()
        with observer.running(getattr(this, "_carried", None)):
            return run()
    finally:
        tracer.ended()


def _returned(value: Any) -> tuple[Kind, bytes]:
    try:
        return Kind.RETURNED, dumps(value)
    except Exception as error:
        path, culprit, reason = "", value, f"{type(error).__name__}: {error}"
        try:
            from hardy._stdlib.refusal import carry
        except (ImportError, OSError):
            pass  # it has no descriptor left to import it with: then the message says less
        else:
            carried = carry(value, error)
            if isinstance(carried, bytes):
                return Kind.RETURNED, carried
            path, culprit, reason = carried.path, carried.culprit, carried.reason
        fields = (type_name(type(value)), type_name(type(culprit)), f"result{path}", reason)
        return Kind.RESULT_NOT_PICKLABLE, pickle.dumps(fields)


def _exited(error: SystemExit) -> tuple[Kind, bytes]:
    if error.code is None or error.code == 0:
        return Kind.RETURNED, dumps(None)
    try:
        return Kind.EXITED, dumps(error.code)
    except Exception:
        return Kind.EXITED, dumps(str(error.code))


def describe(error: BaseException, trace: TracebackType | None) -> bytes:
    """An exception and what can be said of it, pickled: the parent may not be able to rebuild the exception itself."""
    text = _traceback_text(error, trace)
    pickled, reason = pickle_error(error)
    return pickle.dumps((pickled, type_name(type(error)), _safe_repr(error), text, reason))


def _traceback_text(error: BaseException, trace: TracebackType | None) -> str:
    try:
        import traceback
    except (ImportError, OSError):
        # No descriptor is left to import it with, nor to read a source file.
        lines = ["Traceback (most recent call last):"]
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
            trace = trace.tb_next
        return "\n".join([*lines, f"{type_name(type(error))}: {error}", ""])
    return "".join(traceback.format_exception(type(error), error, trace))


def pickle_error(error: BaseException) -> tuple[bytes | None, str]:
    """An exception, pickled, by value where its class has no name that another process could import.

    Returns:
        None when it cannot be; and why.
    """
    try:
        return dumps(error), ""
    except Exception as why:
        try:
            from hardy._stdlib.refusal import carry
        except (ImportError, OSError):
            return None, f"{type(why).__name__}: {why}"
        carried = carry(error, why)
        return (carried, "") if isinstance(carried, bytes) else (None, carried.reason)
    except BaseException as why:
        return None, f"{type(why).__name__}: {why}"


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the target on: how hardy came to call it tells nobody anything."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _OUR_FILES:
        trace = trace.tb_next
    return trace


def _safe_repr(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception as why:
        return f"<{type(error).__name__}, whose repr raised {type(why).__name__}>"
