"""What tells an item from every other, so that its twin can be told from a new one.

An item's id is (source process, number); what a generator stage makes of it has one number more. A process that is
killed between putting an output and acknowledging its input leaves a twin: the input is worked on again, and the
output comes again, under the same id.
"""

from __future__ import annotations

__all__ = ["Id", "Seen"]

Id = tuple[int, ...]
_CHUNK_BITS = 12


class Seen:
    """Which ids have come by: a bit for each, in chunks."""

    def __init__(self) -> None:
        self._chunks: dict[Id, int] = {}

    def has(self, id: Id) -> bool:
        """Whether the id has come."""
        key, bit = _place(id)
        return bool(self._chunks.get(key, 0) & bit)

    def add(self, id: Id) -> None:
        """The id has come."""
        key, bit = _place(id)
        self._chunks[key] = self._chunks.get(key, 0) | bit


def _place(id: Id) -> tuple[Id, int]:
    *family, number = id
    return (*family, number >> _CHUNK_BITS), 1 << (number & ((1 << _CHUNK_BITS) - 1))
