"""What is sent: the objects of each cell, and how the last one is told from the others."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

__all__ = ["MESSAGES", "Message", "digest"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Message:
    """One kind of object.

    Attributes:
        name: as in the tables.
        usual: the object sent, but for the last; None: the numbers 0, 1, 2, ...
        last: the last object. It comes once: if one were lost, doubled or overtaken, another would be last.
        object_bytes: its size, about.
        bound: the most objects in flight; 0: no bound, as `Queue()` has it. For large ones 16 MiB of them: a
            producer that runs ahead would fill the memory, and what does not fit the processor's cache
            measures the memory only.
    """

    name: str
    usual: Any
    last: Any
    object_bytes: int
    bound: int

    def objects(self, count: int) -> Iterable[Any]:
        """The `count` objects of a measurement."""
        if self.usual is None:
            return range(count)
        return chain(repeat(self.usual, count - 1), (self.last,))

    def last_digest(self, count: int) -> int:
        """The digest of the object that must arrive last."""
        return digest(count - 1 if self.usual is None else self.last)


def digest(obj: Any) -> int:
    """A checksum of an object of any cell, with its type and shape."""
    if isinstance(obj, bytes):
        return zlib.crc32(obj)
    if isinstance(obj, np.ndarray):
        return zlib.crc32(obj.data, zlib.crc32(f"{obj.dtype} {obj.shape}".encode()))
    return zlib.crc32(f"{type(obj)} {obj!r}".encode())


MESSAGES = (
    Message("int", None, None, 8, 0),
    Message("100 bytes", b"u" * 100, b"l" * 100, 100, 0),
    Message(
        "small dict",
        {"id": 12345, "name": "widget", "price": 9.75},
        {"id": 54321, "name": "widget", "price": 7.25},
        64,
        0,
    ),
    Message("1 MiB", b"u" * _MIB, b"l" * _MIB, _MIB, 16),
    Message("8 MiB array", np.full(_MIB, 1.5), np.full(_MIB, 2.5), 8 * _MIB, 2),
)
