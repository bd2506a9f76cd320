"""Where a message ends in the bytes that have come, and whether it is too long: the same for both kinds of stream."""

from __future__ import annotations

from hardy.errors import MessageTooLong

__all__ = ["check_length", "check_separator", "find_end"]


def check_separator(separator: bytes) -> None:
    """Refuse the one that stands everywhere."""
    if not separator:
        raise ValueError("the separator must have a byte at least")


def find_end(buffer: bytearray, separator: bytes, scanned: int, limit: int, peer: str) -> int:
    """How many bytes a message and its separator have; -1 when the separator has not come yet.

    Args:
        buffer: what has come.
        separator: what ends a message.
        scanned: how many bytes of it were looked through before.
        limit: of the bytes of a message.
        peer: who sent it.

    Raises:
        MessageTooLong: it is longer, or will be.
    """
    found = buffer.find(separator, max(0, scanned - len(separator) + 1))
    end = found + len(separator) if found >= 0 else -1
    if (end if end >= 0 else len(buffer)) > limit:
        raise MessageTooLong(
            f"{peer} sent more than {limit} bytes without the end of a message ({separator!r}); "
            "allow more with max_message=...",
            peer=peer,
            limit=limit,
        )
    return end


def check_length(n: int, limit: int, peer: str) -> None:
    """Refuse a message of `n` bytes that cannot come.

    Raises:
        ValueError: `n` is negative.
        MessageTooLong: `n` is more than `limit`.
    """
    if n < 0:
        raise ValueError(f"n must be 0 or more, not {n}")
    if n > limit:
        raise MessageTooLong(
            f"a message of {n} bytes from {peer} is longer than {limit}; allow more with max_message=...",
            peer=peer,
            limit=limit,
        )
