"""An object that pickle refuses: sent by value after all, or an account of what in it cannot travel, and why."""

from __future__ import annotations

import io
import pickle
from types import FunctionType
from typing import Any, NamedTuple

from hardy._stdlib import by_value
from hardy._stdlib.culprit import describe, find_culprit, mend
from hardy._stdlib.reducers import LiveDispatchTable

__all__ = ["Refusal", "carry"]

# An error that was raised by the code of one of these says nothing by its traceback.
_PICKLERS = {"hardy", "multiprocessing", "pickle", "copyreg", "cloudpickle"}


class _Probe(pickle.Pickler):
    dispatch_table = LiveDispatchTable()


def _dump(obj: Any) -> None:
    _Probe(io.BytesIO(), 5).dump(obj)


class Refusal(NamedTuple):
    """What in an object cannot travel.

    Attributes:
        path: where it is, as in `[2].session`; "" for the object itself.
        culprit: it.
        error: what the pickler raised.
    """

    path: str
    culprit: Any
    error: Exception

    @classmethod
    def by_pickle(cls, obj: Any, error: Exception) -> Refusal:
        """For an object that pickle refused, with that error, and that does not travel by value."""
        attempt = by_value.check_all if isinstance(error, by_value.Unreachable) else _dump
        return cls(*find_culprit(obj, attempt), error)

    @property
    def reason(self) -> str:
        """What the pickler said."""
        return f"{type(self.error).__name__}: {self.error}"

    @property
    def is_of_user(self) -> bool:
        """Whether it was raised by code of the user's, whose traceback says more."""
        trace = self.error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        module = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
        return module.partition(".")[0] not in _PICKLERS

    @property
    def cause(self) -> Exception:
        """The error, to raise another from: without the way that the pickler took through its own code."""
        return self.error if self.is_of_user else self.error.with_traceback(None)

    def sentence(self, where: str) -> str:
        """What is wrong, of the culprit that the caller's users know as `where`."""
        return f"{where} is a {describe(self.culprit)}, which cannot be pickled ({self.reason})"

    def mend(self, receiver: str = "the receiver") -> str:
        """What to do instead of sending it, as the end of a sentence."""
        instead = mend(self.culprit, receiver)
        if isinstance(self.culprit, (FunctionType, type)) and not by_value.has_cloudpickle():
            instead = f"{instead}; or {by_value.CLOUDPICKLE_MEND}"
        return instead


def carry(obj: Any, error: Exception) -> bytes | Refusal:
    """The pickle of an object that pickle refused with `error`, by cloudpickle; or why it cannot travel.

    Where cloudpickle is installed, it is its refusal that counts: what only pickle could not send is not the culprit.
    """
    try:
        pickled = by_value.dumps_by_value(obj)
    except Exception as refused:
        return Refusal(*find_culprit(obj, by_value.dumps_by_value, into_functions=True), refused)
    return Refusal.by_pickle(obj, error) if pickled is None else pickled
