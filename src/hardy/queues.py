"""Queues: hardy's own, with the names of `multiprocessing.queues`."""

from queue import Empty, Full

from hardy._ipc.queues import JoinableQueue, Queue, SimpleQueue
from hardy._ipc.tasks import DeadLetter, Lease, TaskQueue

__all__ = ["DeadLetter", "Empty", "Full", "JoinableQueue", "Lease", "Queue", "SimpleQueue", "TaskQueue"]
