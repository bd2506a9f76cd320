"""Queues: hardy's own, with the names of `multiprocessing.queues`."""

from queue import Empty, Full

from hardy._ipc.queues import JoinableQueue, Queue, SimpleQueue
from hardy._ipc.tasks import DeadLetter, Lease, TaskQueue
from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["DeadLetter", "Empty", "Full", "JoinableQueue", "Lease", "Queue", "SimpleQueue", "TaskQueue"]

__getattr__ = names_of_stdlib(__name__)
