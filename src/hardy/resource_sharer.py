"""Handing descriptors to unrelated processes: the stdlib's `multiprocessing.resource_sharer`."""

from multiprocessing.resource_sharer import DupFd, stop

from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["DupFd", "stop"]

__getattr__ = names_of_stdlib(__name__)
