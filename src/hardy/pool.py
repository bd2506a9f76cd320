"""Pools of workers: hardy's own `Pool`; `ThreadPool` is the stdlib's."""

from multiprocessing.pool import MaybeEncodingError, ThreadPool  # type: ignore[attr-defined] # typeshed lacks it

from hardy._exec.pool import Pool
from hardy._exec.results import ApplyResult, AsyncResult, IMapIterator, IMapUnorderedIterator, MapResult
from hardy._stdlib.fallback import names_of_stdlib

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
