"""`Worker`: what a handler may know of the process that serves it, and ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardy.net.seats import Seats

__all__ = ["Worker"]

_LOG = logging.getLogger("hardy.net")


class Worker:
    """The process that serves a connection.

    Attributes:
        name: for people, as in `server-2.1`.
        pid: its process id.
        generation: 1, and one more after each reload.
        draining: whether it is to end: it takes no more connections, and those that there are have little time left.
        state: a dict for the handler, for what its connections in this process share.
    """

    def __init__(self, name: str, pid: int, generation: int, seat: int, seats: Seats) -> None:
        self.name = name
        self.pid = pid
        self.generation = generation
        self.draining = False
        self.state: dict[str, Any] = {}
        self._seat = seat
        self._seats = seats
        self._loop = asyncio.get_running_loop()
        self._callbacks: dict[object, Callable[[Any], object]] = {}
        self._listener: threading.Thread | None = None
        self._at_drain: dict[object, Callable[[], object]] = {}
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"<Worker {self.name} (pid {self.pid}){', draining' if self.draining else ''}>"

    @property
    def connections(self) -> int:
        """Those of all workers, now."""
        return self._seats.connections()

    @property
    def pids(self) -> list[int]:
        """The processes of all workers, now; one that was killed stands there until the server has noticed."""
        return self._seats.pids()

    def broadcast(self, obj: Any) -> int:
        """Give an object to each worker that has subscribed, this one included; how many workers there were.

        It is there when this returns, or its worker is dead. It never waits: a worker that has stopped taking what it
        is given is left out, with a warning.

        Raises:
            CannotPickle: the object cannot travel.
        """
        return self._seats.broadcast(obj)

    @contextlib.contextmanager
    def subscribe(self, callback: Callable[[Any], object]) -> Iterator[None]:
        """In this block each object that any worker broadcasts is given to `callback`, in the event loop.

        All callbacks of a worker see the same order. They must not wait: `stream.push` does not. What one raises is
        logged, and harms nobody else.
        """
        token = object()
        with self._guard:
            if self._listener is None:
                self._seats.listen(self._seat)
                # A daemon: it sleeps on the queue until the process ends.
                self._listener = threading.Thread(target=self._listen, name="hardy-broadcast", daemon=True)
                self._listener.start()
            self._callbacks[token] = callback
        try:
            yield
        finally:
            with self._guard:
                del self._callbacks[token]

    @contextlib.contextmanager
    def when_draining(self, callback: Callable[[], object]) -> Iterator[None]:
        """In this block `callback` is called, in the event loop, as soon as the worker is to end."""
        token = object()
        self._at_drain[token] = callback
        if self.draining:
            self._loop.call_soon_threadsafe(callback)
        try:
            yield
        finally:
            del self._at_drain[token]

    def _listen(self) -> None:
        while True:
            messages = self._seats.next_messages(self._seat)
            try:
                self._loop.call_soon_threadsafe(self._deliver, messages)
            except RuntimeError:
                return  # the loop is closed: the process ends

    def _deliver(self, messages: list[Any]) -> None:
        for message in messages:
            with self._guard:
                callbacks = list(self._callbacks.values())
            for callback in callbacks:
                try:
                    callback(message)
                except Exception:
                    _LOG.exception("%s: what subscribed to broadcasts raised", self.name)

    def _start_draining(self) -> None:
        self.draining = True
        for callback in list(self._at_drain.values()):
            try:
                callback()
            except Exception:
                _LOG.exception("%s: what was to be called at the drain raised", self.name)
