"""`progress=True`: how far a call over many items is, on standard error."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["Bar", "bar_for"]

# Where nobody looks on, a line now and then.
_LINE_EVERY_S = 5.0


def bar_for(wanted: bool, function: Any, items: Any) -> Bar | None:
    """A bar for a call over these items, if one is wanted.

    Args:
        wanted: whether one is.
        function: names it.
        items: have a length, or not.
    """
    if not wanted:
        return None
    title = getattr(function, "__name__", None) or type(function).__name__
    total = len(items) if hasattr(items, "__len__") else None
    return _TerminalBar(title, total) if sys.stderr.isatty() else Bar(title, total)


class Bar:
    """Plain lines, for a file or a pipe.

    Args:
        title: what is done.
        total: how many items there are; None: nobody knows.
    """

    def __init__(self, title: str, total: int | None) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._began = self._said = time.monotonic()
        self._guard = threading.Lock()
        self._closed = False

    def advance(self, count: int) -> None:
        """So many more items have ended."""
        with self._guard:
            self._done += count
            self._show()
            over = self._done == self._total
        if over:
            self.close()

    def close(self) -> None:
        """No more will end."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._finish()

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_S and self._done != self._total:
            self._said = now
            self._say()

    def _finish(self) -> None:
        self._say()

    def _say(self) -> None:
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        of = "" if self._total is None else f" of {self._total}"
        left = "" if not rate or self._total is None else f", {(self._total - self._done) / rate:.0f} s left"
        print(f"{self._title}: {self._done}{of}, {_rate(rate)}/s{left}", file=sys.stderr, flush=True)


class _TerminalBar(Bar):
    """A bar that is drawn anew, with rate and time left."""

    def __init__(self, title: str, total: int | None) -> None:
        super().__init__(title, total)
        self._progress = _make_progress()
        self._row = self._progress.add_task(title, total=total, rate="")
        self._progress.start()

    def _show(self) -> None:
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(self._row, completed=self._done, rate=f"{_rate(rate)}/s")

    def _finish(self) -> None:
        self._progress.stop()


def _make_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
