"""What travels: items that say who put them, in every shape that a queue treats in its own way, and that cannot lie."""

from __future__ import annotations

from typing import Any

# An item's number: seat, incarnation of its producer, count within that. Never 0.
_SEAT_SHIFT, _INC_SHIFT = 48, 32
LAST = 0
CORRUPT_ITEM = (1 << 64) - 1

_PATTERN = bytes(range(256)) * 4100
SMALL, MIXED, LARGE = "small", "mixed", "large"


def number(seat: int, incarnation: int, count: int) -> int:
    """The item's number."""
    return (seat + 1) << _SEAT_SHIFT | incarnation << _INC_SHIFT | count


def seat_of(item: int) -> int:
    """The seat of who put it."""
    return (item >> _SEAT_SHIFT) - 1


def name_of(item: int) -> str:
    """For messages."""
    return f"item {item & 0xFFFFFFFF} of producer {seat_of(item)} (life {item >> _INC_SHIFT & 0xFFFF})"


def _bytes(item: int, size: int) -> bytes:
    # Two ends that name the item, and a middle that depends on it: a message put together from two others is seen.
    mark = item.to_bytes(8, "little")
    shift = item * 7 % 251
    return mark + _PATTERN[shift : shift + size - 16] + mark


def make(item: int, shape: str) -> Any:
    """The object that stands for the item.

    Args:
        item: its number.
        shape: "small": an int (the fast path); "mixed": int, str, bytes, dict and tuple in turn; "large": 1 KiB to
            1 MiB.
    """
    if shape == SMALL:
        return item
    if shape == LARGE:
        return _bytes(item, (1 << 10, 60_000, 1 << 18, 1 << 20)[item % 4])
    turn = item % 5
    if turn == 0:
        return item
    if turn == 1:
        return str(item)
    if turn == 2:
        return _bytes(item, 100)
    if turn == 3:
        return {"item": item, "text": str(item), "data": _bytes(item, 300)}
    return (item, [item, float(item % 1000)], None)


def read(obj: Any) -> int:
    """The item's number; CORRUPT_ITEM when the object is not as it was made; LAST for the end of a stream."""
    if obj is None:
        return LAST
    try:
        if isinstance(obj, int):
            return obj
        if isinstance(obj, str):
            return int(obj)
        if isinstance(obj, bytes):
            item = int.from_bytes(obj[:8], "little")
            return item if obj == _bytes(item, len(obj)) else CORRUPT_ITEM
        item = obj["item"] if isinstance(obj, dict) else obj[0]
        return item if obj == make(item, MIXED) else CORRUPT_ITEM
    except MemoryError:  # under a limit: there is no room for a copy to compare with
        return int.from_bytes(obj[:8], "little")
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return CORRUPT_ITEM
