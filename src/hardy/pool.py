"""Pools of workers: the stdlib's, the workers being hardy's processes."""

from multiprocessing.pool import (  # type: ignore[attr-defined] # typeshed lacks some
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    ThreadPool,
)

from hardy._stdlib.fallback import names_of_stdlib
from hardy._stdlib.pool import Pool

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "ThreadPool",
]

__getattr__ = names_of_stdlib(__name__)
