"""ctypes objects in shared memory: the stdlib's `multiprocessing.sharedctypes`, with hardy's locks."""

from multiprocessing.sharedctypes import (
    RawArray,
    RawValue,
    Synchronized,
    SynchronizedArray,
    SynchronizedBase,
    SynchronizedString,
    copy,
)

from hardy._stdlib.fallback import names_of_stdlib
from hardy._stdlib.sharedctypes import Array, Value, synchronized

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "Synchronized",
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "Value",
    "copy",
    "synchronized",
]

__getattr__ = names_of_stdlib(__name__)
