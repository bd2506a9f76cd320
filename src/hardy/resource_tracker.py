"""The tracker of named semaphores and shared memory: the stdlib's. hardy's own objects have no names to track."""

from multiprocessing.resource_tracker import ensure_running, register, unregister

from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["ensure_running", "register", "unregister"]

__getattr__ = names_of_stdlib(__name__)
