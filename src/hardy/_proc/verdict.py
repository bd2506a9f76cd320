"""What the parent says of an ended process: its result, or an error that explains itself."""

from __future__ import annotations

import pickle

from hardy._proc.memory_kills import count_memory_kills
from hardy._proc.outcome import Kind
from hardy.errors import (
    ProcessDied,
    ProcessExited,
    RemoteError,
    RemoteTraceback,
    ResultNotPicklable,
    StartFailed,
    signal_name,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hardy._proc.popen import Popen

__all__ = ["Verdict", "judge", "not_started"]


class Verdict:
    """Either a value, or the error to raise in its place."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error

    def get(self) -> Any:
        """The value.

        Raises:
            BaseException: the error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return self.value


def judge(name: str, popen: Popen) -> Verdict:
    """What became of an ended process. Takes what it committed: called once.

    Raises:
        OSError: a large outcome cannot be mapped, descriptors being exhausted; it may be called again.
    """
    if popen.outcome is None:
        return Verdict(None, _died(name, popen))
    kind, length = popen.outcome
    who = f"{name!r} (pid {popen.pid})"
    with popen.result_file.payload(length) as payload:
        try:
            loaded = pickle.loads(payload)
        except Exception as error:
            return Verdict(None, _not_rebuilt(who, error))
        finally:
            popen.result_file.close()
    if kind is Kind.RETURNED:
        return Verdict(loaded, None)
    if kind is Kind.RAISED:
        return Verdict(None, _raised(who, *loaded))
    if kind is Kind.EXITED:
        return Verdict(None, _exited(name, popen, loaded))
    if kind is Kind.NOT_STARTED:
        return Verdict(None, not_started(name, popen, *loaded))
    return Verdict(None, _not_picklable(who, *loaded))


def _died(name: str, popen: Popen) -> ProcessDied:
    exitcode = popen.returncode
    assert exitcode is not None
    who = f"{name!r} (pid {popen.pid}"
    if popen.status_unknown:
        return ProcessDied(
            f"{who}) has ended without a result, and how is not known: somebody else waited for it, or the "
            "forkserver that knew was killed. It left nothing behind; start another",
            name=name,
            pid=popen.pid,
        )
    if exitcode >= 0:
        return ProcessDied(
            f"{who}) exited with status {exitcode} without a result: it called os._exit, or failed before it "
            "could run its target (its standard error says why). It left nothing behind; start another",
            name=name,
            pid=popen.pid,
            exitcode=exitcode,
        )
    signal = -exitcode
    before, now = popen.memory_kills, count_memory_kills() if signal == 9 else None
    out_of_memory = before is not None and now is not None and now > before
    cause = ", out of memory" if out_of_memory else ""
    mend = "let it hold less at once, or give its control group more memory"
    advice = mend if out_of_memory else "start another"
    return ProcessDied(
        f"{who}, {signal_name(signal)}{cause}) was killed before it gave a result. Its children were ended "
        f"and what it held was released; {advice}",
        name=name,
        pid=popen.pid,
        signal=signal,
        exitcode=exitcode,
        out_of_memory=out_of_memory,
    )


def _exited(name: str, popen: Popen, code: object) -> ProcessExited:
    error = ProcessExited(
        f"{name!r} (pid {popen.pid}) called sys.exit({code!r}), so that there is no result; "
        "return a value instead, or look at exitcode",
        name=name,
        pid=popen.pid,
        exitcode=popen.returncode,
    )
    error.code = code
    return error


def _raised(
    who: str, pickled: bytes | None, type_name: str, text: str, traceback_text: str, reason: str
) -> BaseException:
    if pickled is not None:
        try:
            error = pickle.loads(pickled)
            if isinstance(error, BaseException):
                error.__cause__ = RemoteTraceback(traceback_text)
                return error
            reason = f"it becomes a {type(error).__name__}"
        except Exception as why:
            reason = f"{type(why).__name__}: {why}"
    stand_in = RemoteError(
        f"{who} raised {text}, which cannot be carried over ({reason}); its traceback is the cause of this error",
        type_name=type_name,
        text=text,
        traceback_text=traceback_text,
    )
    stand_in.__cause__ = RemoteTraceback(traceback_text)
    return stand_in


_IMPORT_MENDS = {
    "import the main module": (
        "A child of 'spawn' and 'forkserver' imports it anew, with another __name__: can that be done without what the "
        "parent has done before?"
    ),
    "rebuild its target and arguments": (
        "What they need must be found by import in the child: at the top level of a module on sys.path, not under the "
        "main guard, and not put there by hand; or use get_context('fork')"
    ),
}


def not_started(name: str, popen: Popen, doing: str, described: bytes) -> BaseException:
    """The error for a child that did not come to its target.

    Args:
        name: the process's name.
        popen: the child; it need not have been waited for.
        doing: what it failed to do.
        described: what it raised, as `child.describe` gives it.
    """
    pickled, type_name, text, traceback_text, _ = pickle.loads(described)
    if pickled is not None and type_name in ("hardy.errors.MainGuardMissing", "KeyboardInterrupt"):
        cause: BaseException = pickle.loads(pickled)
        return cause
    error = StartFailed(
        f"{name!r} (pid {popen.pid}) could not {doing}, and has ended: {text}. {_IMPORT_MENDS[doing]}",
        name=name,
        pid=popen.pid,
        exitcode=1,
    )
    error.__cause__ = RemoteTraceback(traceback_text)
    return error


def _not_picklable(who: str, whole: str, culprit: str, path: str, reason: str) -> ResultNotPicklable:
    return ResultNotPicklable(
        f"{who} ended well, but the {whole} that it returned cannot be sent back: {path} is a {culprit}, "
        f"which cannot be pickled ({reason}). Return plain data",
        type_name=culprit,
        path=path,
    )


def _not_rebuilt(who: str, why: Exception) -> RemoteError:
    error = RemoteError(
        f"{who} ended well, but what it returned cannot be rebuilt here: {type(why).__name__}: {why}. "
        "Is what it needs importable in this process?",
        type_name="",
        text="",
    )
    error.__cause__ = why
    return error
