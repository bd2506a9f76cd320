"""Who is told, while it happens, of processes and tasks: nobody, unless an observer has put itself here.

A place at the bottom, so that what starts processes and runs tasks need not know who looks (`hardy.otel` does).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    class Observer(Protocol):
        """What it is told. All of it in the process, and the thread, in which it happens."""

        def carried(self) -> bytes:
            """What is to go with a task that is given away here: CARRIED_BYTES bytes, or none."""

        def starting(self, process: Any) -> Any:
            """A process is about to be started; what is to go with it, pickled for a new interpreter."""

        def started(self, process: Any) -> None:
            """It is there."""

        def running(self, carried: Any) -> AbstractContextManager[None]:
            """This process's work, from its begin to its end; `carried` came with it."""

        def span(self, name: str) -> AbstractContextManager[Any]:
            """A part of the work that the user has named."""

        def task(self, name: str, number: int, carried: bytes) -> AbstractContextManager[None]:
            """A task of a pool; `carried` came with it."""

        def flush(self) -> None:
            """What was told is about to be known to others; or this process may be ended at any time."""


__all__ = ["CARRIED_BYTES", "observe", "observer"]

# What goes with a task has one length, so that nobody has to say how long it is (a W3C traceparent).
CARRIED_BYTES = 55

observer: Observer | None = None


def observe(who: Observer | None) -> None:
    """Tell that one from now on; None: nobody."""
    global observer
    observer = who
