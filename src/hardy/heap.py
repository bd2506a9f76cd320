"""Memory for shared ctypes objects: the stdlib's `multiprocessing.heap`."""

from multiprocessing.heap import BufferWrapper

from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["BufferWrapper"]

__getattr__ = names_of_stdlib(__name__)
