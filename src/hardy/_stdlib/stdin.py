"""A standard input with nothing in it, which takes no descriptor before it is asked for one."""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["empty_stdin"]


class _Nothing(io.RawIOBase):
    """/dev/null, to be read."""

    mode = "rb"
    _fd = -1

    @property
    def name(self) -> int:
        return self.fileno()

    def fileno(self) -> int:
        if self._fd < 0:
            self._fd = os.open(os.devnull, os.O_RDONLY)
        return self._fd

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return 0

    def readinto(self, buffer: Any) -> int:
        return 0


def empty_stdin() -> io.TextIOWrapper:
    """A new one, as text."""
    made = io.TextIOWrapper(io.BufferedReader(_Nothing()), encoding="utf-8")
    made.mode = "r"  # type: ignore[misc]
    return made
