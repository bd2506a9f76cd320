"""Locks and their like, under the names of `multiprocessing.synchronize`, and two that it has not."""

from __future__ import annotations

from hardy._stdlib.fallback import names_of_stdlib
from hardy._sync.barrier import Barrier, BrokenBarrierError
from hardy._sync.condition import Condition
from hardy._sync.event import Event
from hardy._sync.lock import Lock, RLock
from hardy._sync.named import NamedLock
from hardy._sync.rwlock import RWLock
from hardy._sync.semaphore import SEM_VALUE_MAX, BoundedSemaphore, Semaphore

__all__ = [
    "SEM_VALUE_MAX",
    "Barrier",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "Condition",
    "Event",
    "Lock",
    "NamedLock",
    "RLock",
    "RWLock",
    "Semaphore",
]

__getattr__ = names_of_stdlib(__name__)
