"""How fast, how long and how patiently the client tries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hardy.apps.transfer.errors import TransferError

__all__ = ["Effort", "Pace", "Patience", "Progress"]

T = TypeVar("T")
# Is told how many bytes are there, and how many there are in all.
Progress = Callable[[int, int], None]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_NOTICE_AGAIN_S = 10.0
# These pass by themselves: another request has the upload, the disk is full, the server is being replaced.
_PASSING = (408, 423, 429)


def _nobody(done: int, total: int) -> None:
    pass


def _silent(sentence: str) -> None:
    pass


@dataclass(frozen=True)
class Effort:
    """What a transfer may cost.

    Attributes:
        limit_rate: the most bytes a second; None: as many as go.
        patience_s: for how long it is tried again without any progress.
        connections: how many ranges are fetched at a time.
        progress: is told of it.
        notice: is told, a sentence each, what a transfer waits for (a full disk, a server that does not answer), at
            once and then every ten seconds, and what is left out.
    """

    limit_rate: int | None = None
    patience_s: float = 60.0
    connections: int = 4
    progress: Progress = _nobody
    notice: Callable[[str], None] = _silent


class Pace:
    """At most so many bytes a second, over all threads."""

    def __init__(self, bytes_per_s: int | None) -> None:
        self._bytes_per_s = bytes_per_s
        self._guard = threading.Lock()
        self._free_at = 0.0

    @property
    def limited(self) -> bool:
        return self._bytes_per_s is not None

    def spend(self, count: int) -> None:
        """Wait until so many bytes may go."""
        if self._bytes_per_s is None:
            return
        with self._guard:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + count / self._bytes_per_s
            pause_s = self._free_at - now
        time.sleep(pause_s)


class Patience:
    """Pauses between tries, until nothing has gone on for too long; for all threads of a transfer."""

    def __init__(self, seconds: float, notice: Callable[[str], None] = _silent) -> None:
        self._seconds = seconds
        self._notice = notice
        self._noticed_s: dict[str, float] = {}
        self._guard = threading.Lock()
        self._last_s = time.monotonic()
        self._pause_s = _FIRST_PAUSE_S

    def went_on(self) -> None:
        """Something came through."""
        self._last_s = time.monotonic()
        self._pause_s = _FIRST_PAUSE_S

    def persist(self, call: Callable[[], T]) -> T:
        """What the call gives, as soon as it gives anything."""
        while True:
            try:
                return call()
            except (OSError, TransferError) as error:
                self.wait(error)

    def wait(self, error: Exception) -> None:
        """Pause before the next try; or raise the error, when it does not pass or has not for too long."""
        if isinstance(error, TransferError) and error.status < 500 and error.status not in _PASSING:
            raise error
        with self._guard:
            pause_s = self._pause_s
            self._pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        now = time.monotonic()
        left_s = self._seconds - (now - self._last_s)
        if pause_s > left_s:
            raise error
        kind = type(error).__name__
        with self._guard:
            is_new = now - self._noticed_s.get(kind, -_NOTICE_AGAIN_S) >= _NOTICE_AGAIN_S
            if is_new:
                self._noticed_s[kind] = now
        if is_new:
            self._notice(f"{str(error).rstrip('.')}. Trying again, for up to {left_s:.0f} s")
        time.sleep(pause_s)
