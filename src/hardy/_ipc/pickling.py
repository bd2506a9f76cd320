"""How an object that is no plain value becomes the bytes of a message, and back."""

from __future__ import annotations

import pickle
from typing import Any

from hardy._stdlib import by_value
from hardy._stdlib.main_module import main_is_importable
from hardy._stdlib.reducers import LiveDispatchTable
from hardy._stdlib.refusal import Refusal, carry
from hardy.errors import CannotPickle, type_name

__all__ = ["CODEC", "Session", "dumps", "explain"]

# Buffers from this size on go beside the pickle, copied once instead of twice.
_OUT_OF_BAND_BYTES = 16384
_MOST_BUFFERS = 64


class Session:
    """A pickler that is used again: to make one for each object takes three times as long as a small pickle.

    It holds nothing between two objects. One is in use by one call at a time, so that threads, and a reducer that
    itself puts into a queue, do not meet in it: `take` one, dump, `give_back`; one whose dump raised is dropped, for
    it may be half-way through an object.

    Attributes:
        pickler: writes to `written`.
        written: the parts of the pickle.
        buffers: what goes beside it.
    """

    __slots__ = ("buffers", "pickler", "write", "written")

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write = self.written.append
        self.buffers: list[memoryview] = []
        self.pickler = _Pickler(self, 5, buffer_callback=self.keep)

    @staticmethod
    def take() -> Session:
        """One that is in nobody's use."""
        try:
            return _idle.pop()
        except IndexError:
            return Session()

    def give_back(self) -> list[memoryview] | None:
        """Empty it for the next object; the buffers of this one, or None."""
        self.written.clear()
        self.pickler.clear_memo()
        buffers = None
        if self.buffers:
            buffers, self.buffers = self.buffers, []
        _idle.append(self)
        return buffers

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Whether a buffer stays in the pickle; else it goes beside it."""
        if len(self.buffers) == _MOST_BUFFERS:
            return True
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < _OUT_OF_BAND_BYTES:
            return True
        self.buffers.append(raw)
        return False


class _Pickler(pickle.Pickler):
    dispatch_table = LiveDispatchTable()


_idle: list[Session] = []
# In an interpreter that is typed or piped into: a child may not be able to import what is defined there.
_may_be_unreachable = not main_is_importable()


def dumps(obj: Any) -> tuple[bytes, list[memoryview] | None]:
    """The pickle of an object, and the large buffers that belong to it.

    Raises:
        CannotPickle: with the path to the culprit.
    """
    session = Session.take()
    try:
        session.pickler.dump(obj)
        written = session.written
        data = written[0] if len(written) == 1 else b"".join(written)
        if _may_be_unreachable:
            by_value.check_all_reachable(obj, data)
    except by_value.Unreachable as error:
        # A reader that was forked, or that is a thread, has it; another needs cloudpickle, and is told so.
        carried = carry(obj, error)
        return (carried, None) if isinstance(carried, bytes) else (data, session.buffers or None)
    except Exception as error:
        carried = carry(obj, error)
        if isinstance(carried, bytes):
            return carried, None
        raise explain(carried, f"this {type_name(type(obj))}", f"object{carried.path}") from carried.cause
    return data, session.give_back()


def explain(refusal: Refusal, what: str, where: str, receiver: str = "the receiver") -> CannotPickle:
    """The error for what cannot travel: the path to the culprit, and the mend."""
    text = f"cannot send {what}: {refusal.sentence(where)}. Nothing was sent. Instead, {refusal.mend(receiver)}"
    return CannotPickle(text, path=where)


CODEC = (dumps, pickle.loads)
