"""Named blocks of shared memory: the stdlib's `multiprocessing.shared_memory`, names, tracker and all."""

from multiprocessing.shared_memory import ShareableList, SharedMemory

__all__ = ["ShareableList", "SharedMemory"]
