"""What goes between a pool and its workers: messages on two kinds of ring.

A message is a pickle with a trailer of a fixed form (the pickle machine stops before it, so neither side has to
cut). Its bytes are made before it is put and opened after it is taken, so that neither an object that cannot
travel nor one that cannot be rebuilt ever reaches the ring's own code: it concerns its task alone.

    task ring, one a worker:    parent -> worker    (function, arguments, named arguments) | (function, items)
                                                    | either without its function, whose name is in the trailer
    result ring, one a pool:    workers -> parent   a value | a list of values | a failure
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import sys
from types import FunctionType
from typing import Any

from hardy._core.memory import Segment
from hardy._ipc.pickling import Session, explain
from hardy._ipc.queues import Queue
from hardy._stdlib.by_value import Unreachable, check_all_reachable
from hardy._stdlib.refusal import Refusal, carry
from hardy._sync.handles import PackedSegment, pack_segment, unpack_segment
from hardy.errors import CannotPickle

__all__ = ["RESULT", "TASK", "Kind", "Message", "MessageRing", "name_of", "open_message", "open_task", "pack"]

# id, kind, length of the function's name
TASK = struct.Struct("<QBB")
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
    # Before the function's name stands what an observer has given the task to carry.
    CARRIED = 64

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


def pack(
    obj: Any,
    trailer: bytes,
    *,
    by_value: bool = False,
    main_is_there: bool = True,
    places: tuple[str, ...] = (),
    base: int = 0,
) -> Any:
    """The message that holds an object: its bytes, or a `Message` when it has large buffers.

    Args:
        obj: the object.
        trailer: what is put behind its pickle.
        by_value: whether functions and classes that have no importable name travel too, with cloudpickle.
        main_is_there: whether the receiver has what is defined in this process's `__main__`; else that has no
            importable name.
        places: what the error calls the parts of a task.
        base: the number of the first item of a task.

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
            return _pack_by_value(obj, trailer, error, places, base)
        refusal = Refusal.by_pickle(obj, error)
        raise _explain(refusal, places, base) from refusal.cause
    session.written.append(trailer)
    data = b"".join(session.written)
    buffers = session.give_back()
    if not main_is_there:
        try:
            check_all_reachable(obj, data)
        except Unreachable as error:
            return _pack_by_value(obj, trailer, error, places, base)
    return data if buffers is None else Message(data, buffers)


def _pack_by_value(obj: Any, trailer: bytes, error: Exception, places: tuple[str, ...], base: int) -> Any:
    """What pickle refuses (lambdas, closures, classes of a function), by cloudpickle if it is installed."""
    carried = carry(obj, error)
    if isinstance(carried, bytes):
        return carried + trailer
    raise _explain(carried, places, base) from carried.cause


def _explain(refusal: Refusal, places: tuple[str, ...], base: int) -> CannotPickle:
    place = re.match(r"\[(\d+)\](?:\[(\d+)\])?", refusal.path) if places else None
    if place is None:
        return explain(refusal, "this", f"object{refusal.path}")
    part, item = places[int(place[1])], place[2]
    number = "" if item is None else f"[{int(item) + base}]"
    where = f"{part}{number}{refusal.path[place.end() :]}"
    return explain(refusal, "this task to a worker", where, "the worker")


def open_message(message: Any) -> Any:
    """The object in a message that came; raises whatever its rebuilding raises."""
    if type(message) is Message:
        return pickle.loads(message.data, buffers=message.buffers)
    return pickle.loads(message)


def _as_it_is(message: Message) -> tuple[bytes, list[Any]]:
    return message.data, message.buffers


def _unopened(data: Any, buffers: Any = ()) -> Any:
    return Message(data, list(buffers)) if buffers else data


_MOST_NAME_BYTES = 255


def name_of(function: Any) -> bytes:
    """The name by which pickle would send a function, if it is one that its module has; else nothing.

    For pickle to write a function and to find it again takes as long as all the rest of a small call.
    """
    if type(function) is FunctionType:
        module, name = function.__module__, function.__qualname__
        try:
            if sys.modules[module].__dict__.get(name) is function:
                written = f"{module}\0{name}".encode("utf-8", "surrogatepass")
                return written if len(written) <= _MOST_NAME_BYTES else b""
        except (KeyError, TypeError):
            pass  # somebody has given it a `__module__` that is none
    return b""


def open_task(message: Any, name: bytes) -> Any:
    """What is in the message of a task, its function before the rest; raises as `open_message`."""
    if not name:
        return open_message(message)
    module, _, attribute = name.decode("utf-8", "surrogatepass").partition("\0")
    try:
        function = sys.modules[module].__dict__[attribute]
    except KeyError:
        # Pickle imports the module, or says in its own words why it cannot.
        function = pickle.Unpickler(io.BytesIO()).find_class(module, attribute)
    return function, *open_message(message)


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
