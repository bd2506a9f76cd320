"""Named blocks of shared memory: the stdlib's `multiprocessing.shared_memory`, names, tracker and all."""

from multiprocessing.shared_memory import ShareableList

from hardy._stdlib.fallback import names_of_stdlib
from hardy._stdlib.shared_memory import SharedMemory

__all__ = ["ShareableList", "SharedMemory"]

__getattr__ = names_of_stdlib(__name__)
