"""How an object that is no plain value becomes the bytes of a message, and back."""

from __future__ import annotations

import io
import pickle
from typing import Any

from hardy._stdlib.culprit import find_culprit, type_name
from hardy._stdlib.reducers import LiveDispatchTable
from hardy.errors import CannotPickle

__all__ = ["CODEC", "dumps", "loads"]

# Buffers from this size on go beside the pickle, copied once instead of twice.
_OUT_OF_BAND_BYTES = 16384
_MOST_BUFFERS = 64


class _Pickler(pickle.Pickler):
    dispatch_table = LiveDispatchTable()


def dumps(obj: Any) -> tuple[bytes, list[memoryview] | None]:
    """The pickle of an object, and the large buffers that belong to it.

    Raises:
        CannotPickle: with the path to the culprit.
    """
    buffers: list[memoryview] = []

    def take(buffer: pickle.PickleBuffer) -> bool:
        # True: keep it in the pickle.
        if len(buffers) == _MOST_BUFFERS:
            return True
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < _OUT_OF_BAND_BYTES:
            return True
        buffers.append(raw)
        return False

    stream = io.BytesIO()
    try:
        _Pickler(stream, 5, buffer_callback=take).dump(obj)
    except Exception as error:
        raise _explain(obj, error) from error
    return stream.getvalue(), buffers


def _explain(obj: Any, error: Exception) -> CannotPickle:
    path, culprit = find_culprit(obj)
    where = f"object{path}"
    return CannotPickle(
        f"cannot send this {type_name(type(obj))}: {where} is a {type_name(type(culprit))}, which cannot be pickled "
        f"({type(error).__name__}: {error}). Nothing was sent. Send plain data, and build the rest in the receiver",
        path=where,
    )


def loads(data: bytes | memoryview, buffers: list[memoryview] | None) -> Any:
    """The object behind a pickle and its buffers."""
    return pickle.loads(data, buffers=buffers)


CODEC = (dumps, loads)
