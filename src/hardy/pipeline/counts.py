"""What the processes of a pipeline write down for the one that owns it: a row of numbers for each.

    row 0       WANTED_END: whether the sources are to end
    row 1 + i   process i: one living process writes it at a time; who replaces it goes on from there

A memfd that every process maps; each number is one aligned store. If a process dies here: its row is as it left it.
"""

from __future__ import annotations

import enum
import mmap
import os
from multiprocessing.reduction import DupFd
from typing import Any

from hardy._proc.outcome import above_std_streams

__all__ = ["Cell", "Counts", "Row"]

_ROW_CELLS = 8


class Cell(enum.IntEnum):
    """The numbers of a row."""

    TAKEN = 0
    DONE = 1
    PUT = 2
    AGAIN = 3
    FAILED = 4
    DOUBLES = 5
    STARTS = 6
    FINISHED = 7


class Counts:
    """The table.

    Args:
        rows: how many processes there are.
        fd: an open table; None makes one.
    """

    def __init__(self, rows: int, fd: int | None = None) -> None:
        size = (rows + 1) * _ROW_CELLS * 8
        if fd is None:
            fd = above_std_streams(os.memfd_create("hardy-pipeline", os.MFD_CLOEXEC))
            os.ftruncate(fd, size)
        self.rows = rows
        self._fd = fd
        self._pages = mmap.mmap(fd, size)
        self._cells = memoryview(self._pages).cast("Q")

    def __reduce__(self) -> tuple[Any, ...]:
        return _attach, (self.rows, DupFd(self._fd))

    def row(self, process: int) -> Row:
        """The row of a process."""
        return Row(self._cells, (process + 1) * _ROW_CELLS)

    @property
    def wanted_end(self) -> bool:
        """Whether the sources are to end."""
        return bool(self._cells[0])

    def want_end(self) -> None:
        """Let the sources end before their next item."""
        self._cells[0] = 1

    def close(self) -> None:
        """Give memory and descriptor back."""
        if self._fd >= 0:
            self._cells.release()
            self._pages.close()
            os.close(self._fd)
            self._fd = -1


class Row:
    """The numbers of one process."""

    def __init__(self, cells: memoryview, start: int) -> None:
        self._cells, self._start = cells, start

    def __getitem__(self, cell: Cell) -> int:
        return int(self._cells[self._start + cell])

    def __setitem__(self, cell: Cell, value: int) -> None:
        self._cells[self._start + cell] = value

    def add(self, cell: Cell) -> None:
        """One more."""
        self._cells[self._start + cell] += 1


def _attach(rows: int, passed: Any) -> Counts:
    fd = passed.detach()
    os.set_inheritable(fd, False)
    return Counts(rows, fd)
