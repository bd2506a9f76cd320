"""`hardy.logging_queue`: what children log reaches the handlers of the process that made the queue, in order.

A record is in the queue when the logging call returns, whatever becomes of its process then.
"""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from logging.handlers import QueueHandler
from multiprocessing.util import Finalize
from types import TracebackType

from hardy._ipc.queues import Queue
from hardy.context import tell_children

__all__ = ["LoggingQueue", "logging_queue"]

# At the end of a program its children are waited for first: what is below 0 comes after that.
_AFTER_THE_CHILDREN = -50
_TOLD = "hardy_logging"

_current: LoggingQueue | None = None
_forks_are_seen = False


class _Sender(QueueHandler):
    """Puts each record; the call returns when it is in the queue."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue)
        self._put = queue.put

    def enqueue(self, record: logging.LogRecord) -> None:
        self._put(record)


class LoggingQueue:
    """Brings the log records of this process's children, and of theirs, to this process's handlers.

    Attributes:
        queue: the queue that they travel through.
    """

    def __init__(self) -> None:
        self.queue = Queue(name="log records")
        self._pid = os.getpid()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="hardy-logging", daemon=True)
        self._finalizer = Finalize(self, self.close, exitpriority=_AFTER_THE_CHILDREN)

    def start(self) -> None:
        """Listen, and have the children that are started from now on send."""
        global _current, _forks_are_seen
        _current = self
        self._thread.start()
        tell_children(_TOLD, partial(_send_to, self.queue, logging.getLogger().getEffectiveLevel()))
        if not _forks_are_seen:
            _forks_are_seen = True
            os.register_at_fork(after_in_child=_send_if_there_is_a_queue)

    def _listen(self) -> None:
        while (record := self.queue.get()) is not None:
            _handle(record)

    def close(self) -> None:
        """Handle all records that are in the queue, and listen no more; children that log later write nowhere.

        In another process than the one that made it: nothing.
        """
        global _current
        if os.getpid() != self._pid:
            return
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self.queue.put(None)
        self._thread.join()
        self._finalizer.cancel()
        tell_children(_TOLD, _do_nothing)
        if _current is self:
            _current = None
        self.queue.close()

    def __enter__(self) -> LoggingQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def logging_queue() -> LoggingQueue:
    """From now on, what this process's children log reaches the handlers that this process has set up.

    Each record goes to the logger of its name here, whose handlers and filters it meets; a child's own handlers are
    not used. Works with every start method, in children of children too, and needs nothing in the children.

    Returns:
        The queue; `close()` it, or use it in `with`, when the children have ended. Otherwise that is done when the
        program ends.

    If a process dies here: each record whose logging call had returned is handled.

    Raises:
        RuntimeError: there is one already, here or in a parent.
    """
    if _current is not None or any(isinstance(each, _Sender) for each in logging.getLogger().handlers):
        raise RuntimeError("this program has a logging queue already: close() it before you make another")
    made = LoggingQueue()
    made.start()
    return made


def _handle(record: logging.LogRecord) -> None:
    logger = logging.getLogger(record.name)
    if record.levelno >= logger.getEffectiveLevel():
        logger.handle(record)


def _send_to(queue: Queue, level: int) -> None:
    """In a child: all that is logged goes into the queue, and nowhere else."""
    root = logging.getLogger()
    for each in (root, *logging.Logger.manager.loggerDict.values()):
        if isinstance(each, logging.Logger):
            for handler in list(each.handlers):
                each.removeHandler(handler)
            each.propagate = True
    root.addHandler(_Sender(queue))
    root.setLevel(level)
    tell_children(_TOLD, partial(_send_to, queue, level))


def _send_if_there_is_a_queue() -> None:
    global _current
    if _current is not None:
        queue, _current = _current.queue, None
        _send_to(queue, logging.getLogger().level)


def _do_nothing() -> None:
    """What children are told once the queue is closed."""
