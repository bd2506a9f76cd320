"""`queue._reader`: a queue among other things that one waits for.

Programs hand the `_reader` of a queue to `multiprocessing.connection.wait`, to `select` or to an event loop;
`concurrent.futures.ProcessPoolExecutor` does. The ring's futex cannot be polled, so whoever asks for the descriptor
gets an eventfd that a thread of its own process makes readable: the thread sleeps on the futex, in slices, and takes
nothing. Rejected: a descriptor that every putter rings. Each queue would cost one in each process, each `put` a system
call, and a putter that is killed between the two would leave an object of which nobody is told.

The bell is rung while an object may lie in the queue. `fileno` and `recv` look again, so each `wait` starts with the
truth; another process may still take the object first, as with a pipe.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from hardy._core import runtime
from hardy.errors import Closed

if TYPE_CHECKING:
    from hardy._ipc.queues import _RingQueue

__all__ = ["PollableReader", "PuttingWriter", "reader_of"]

_SLICE_S = 0.2
_readers: weakref.WeakKeyDictionary[_RingQueue, PollableReader] = weakref.WeakKeyDictionary()


def reader_of(queue: _RingQueue) -> PollableReader:
    """The one reader of a queue in this process."""
    reader = _readers.get(queue)
    if reader is None:
        reader = _readers.setdefault(queue, PollableReader(queue))
    return reader


class PollableReader:
    """The reading end of a queue, for those who wait for several things at once.

    Fork/spawn: the child of a fork has a reader of its own under the same name; it is not sent otherwise.
    """

    def __init__(self, queue: _RingQueue) -> None:
        # Weak, for `_readers` must not keep a queue alive.
        self._queue = weakref.ref(queue)
        self._bell: _Bell | None = None

    def recv(self) -> Any:
        """The oldest object; raises as `get` of the queue."""
        queue = self._get_queue()
        obj = queue.get()
        bell = self._own_bell()
        if bell is not None:
            bell.look_again(queue)
        return obj

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is an object, after waiting for one for so many seconds; None: no end."""
        from multiprocessing.connection import wait

        return bool(wait([self.fileno()], timeout))

    @property
    def closed(self) -> bool:
        """Whether this process has closed the queue."""
        return self._get_queue().closed

    def close(self) -> None:
        """Nothing to close: who closes one end of a pipe goes on with the other."""

    def fileno(self) -> int:
        """A descriptor that is readable while there is an object, or once none can come any more."""
        queue = self._get_queue()
        bell = self._own_bell()
        if bell is None:
            bell = self._bell = _Bell(queue)
        bell.look_again(queue)
        return bell.fd

    def _get_queue(self) -> _RingQueue:
        queue = self._queue()
        if queue is None:
            raise OSError("the queue of this reader is gone: keep the queue itself, not its _reader alone")
        return queue

    def _own_bell(self) -> _Bell | None:
        # After a fork, the parent rings and reads the eventfd that was; the thread is the parent's, too.
        bell = self._bell
        return bell if bell is not None and bell.forks == runtime.fork_count() else None


class PuttingWriter:
    """The writing end of a queue, for those who ask for it; it cannot be waited for."""

    def __init__(self, queue: _RingQueue) -> None:
        self._queue = queue

    @property
    def closed(self) -> bool:
        """Whether this process has closed the queue."""
        return self._queue.closed

    def send(self, obj: Any) -> None:
        """`put` of the queue."""
        self._queue.put(obj)

    def close(self) -> None:
        """Nothing to close: who closes one end of a pipe goes on with the other."""


class _Bell:
    """An eventfd and the thread that rings it; both end with the queue."""

    def __init__(self, queue: _RingQueue) -> None:
        self.forks = runtime.fork_count()
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._guard = threading.Lock()
        # Set while the bell is silent and the thread is to watch the queue.
        self._watch = threading.Event()
        self._ended = False
        weakref.finalize(self, os.close, self.fd).atexit = False
        weakref.finalize(queue, self._watch.set).atexit = False
        threading.Thread(target=self._run, args=(weakref.ref(queue),), name="hardy-bell", daemon=True).start()

    def look_again(self, queue: _RingQueue) -> None:
        """Rings or silences the bell as the queue is now."""
        with self._guard:
            if self._ended or _has_something(queue):
                self._ring()
                return
            try:
                os.eventfd_read(self.fd)
            except BlockingIOError:
                pass  # it was silent
            self._watch.set()

    def _ring(self) -> None:
        self._watch.clear()
        os.eventfd_write(self.fd, 1)

    def _run(self, ref: weakref.ref[_RingQueue]) -> None:
        while True:
            self._watch.wait()
            queue = ref()
            if queue is None:
                return
            try:
                queue._wait_items(_SLICE_S)
            except Closed:
                with self._guard:
                    self._ended = True
                    self._ring()
                return
            with self._guard:
                if _has_something(queue):
                    self._ring()
            del queue


def _has_something(queue: _RingQueue) -> bool:
    try:
        return not queue.empty()
    except Closed:
        return True
