"""What goes between a pool and its workers: messages on two kinds of ring.

A message is a pickle with a trailer of a fixed form (the pickle machine stops before it, so neither side has to
cut). Its bytes are made before it is put and opened after it is taken, so that neither an object that cannot
travel nor one that cannot be rebuilt ever reaches the ring's own code: it concerns its task alone.

    task ring, one a worker:    parent -> worker    (function, arguments, named arguments) | (function, items)
    result ring, one a pool:    workers -> parent   a value | a list of values | a failure
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

from hardy._core.memory import Segment
from hardy._ipc.pickling import Session, explain
from hardy._ipc.queues import Queue
from hardy._stdlib.by_value import (
    CLOUDPICKLE_MEND,
    Unreachable,
    check_all_reachable,
    dumps_by_value,
    has_cloudpickle,
)
from hardy._sync.handles import PackedSegment, pack_segment, unpack_segment

__all__ = ["RESULT", "TASK", "Kind", "Message", "MessageRing", "open_message", "pack"]

# id, kind
TASK = struct.Struct("<QB")
# id, first item, count of items, kind
RESULT = struct.Struct("<QIIB")


class Kind:
    """What a message holds."""

    CALL = 0
    ITEMS = 1
    STARRED_ITEMS = 2
    STOP = 3
    # Items whose begin is noted one by one.
    TIMED = 4

    VALUE = 10
    VALUES = 11
    FAILURE = 12
    BROKEN = 13


class Message:
    """A message with large buffers, which go beside the pickle.

    Attributes:
        data: the pickle with its trailer.
        buffers: what belongs to it.
    """

    __slots__ = ("buffers", "data")

    def __init__(self, data: Any, buffers: list[Any]) -> None:
        self.data = data
        self.buffers = buffers

    @property
    def nbytes(self) -> int:
        return len(self.data) + sum(memoryview(buffer).nbytes for buffer in self.buffers)


_REFUSALS = (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError)


def pack(obj: Any, trailer: bytes, *, by_value: bool = False, main_is_there: bool = True) -> Any:
    """The message that holds an object: its bytes, or a `Message` when it has large buffers.

    Args:
        obj: the object.
        trailer: what is put behind its pickle.
        by_value: whether functions and classes that have no importable name travel too, with cloudpickle.
        main_is_there: whether the receiver has what is defined in this process's `__main__`; else that has no
            importable name.

    Raises:
        CannotPickle: with the path to the culprit.
        BaseException: what a `__reduce__` raised that is no Exception.
    """
    session = Session.take()
    try:
        session.pickler.dump(obj)
    except Exception as error:
        if not isinstance(error, _REFUSALS):
            raise  # by the user's own __reduce__
        if by_value:
            return _pack_by_value(obj, trailer, error)
        raise explain(obj, error) from error
    session.written.append(trailer)
    data = b"".join(session.written)
    buffers = session.give_back()
    if not main_is_there:
        try:
            check_all_reachable(obj, data)
        except Unreachable as error:
            return _pack_by_value(obj, trailer, error)
    return data if buffers is None else Message(data, buffers)


def _pack_by_value(obj: Any, trailer: bytes, error: Exception) -> Any:
    """What pickle refuses (lambdas, closures, classes of a function), by cloudpickle if it is installed."""
    pickled = dumps_by_value(obj)
    if pickled is not None:
        return pickled + trailer
    explained = explain(obj, error)
    if not has_cloudpickle():
        explained.args = (f"{explained.args[0]}; or {CLOUDPICKLE_MEND}",)
    raise explained from error


def open_message(message: Any) -> Any:
    """The object in a message that came; raises whatever its rebuilding raises."""
    if type(message) is Message:
        return pickle.loads(message.data, buffers=message.buffers)
    return pickle.loads(message)


def _as_it_is(message: Message) -> tuple[bytes, list[Any]]:
    return message.data, message.buffers


def _unopened(data: Any, buffers: Any = ()) -> Any:
    return Message(data, list(buffers)) if buffers else data


class MessageRing(Queue):
    """A ring of messages, each of them bytes, or a `Message`."""

    @classmethod
    def create(cls) -> MessageRing:
        """A new one."""
        ring = cls.__new__(cls)
        ring._create((_as_it_is, _unopened), 0, 0, 0, False, None)
        return ring

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (pack_segment(self.segment),)


def _attach(segment: Segment) -> MessageRing:
    ring = MessageRing.__new__(MessageRing)
    ring._attach(segment, (_as_it_is, _unopened), None)
    return ring


def _rebuild(packed: PackedSegment) -> MessageRing:
    return _attach(unpack_segment(packed))
