"""What `concurrent.futures` has behind its public names, and what puts hardy's executor in its place."""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
from typing import Any

__all__ = ["ExecutorTraceback", "replace_executor"]

#: What bears the traceback of a worker there; programs look at its `tb`.
ExecutorTraceback: Any = concurrent.futures.process._RemoteTraceback


def replace_executor(executor: type[Any]) -> None:
    """Make it what `concurrent.futures` offers as `ProcessPoolExecutor`."""
    for module in (concurrent.futures, concurrent.futures.process):
        module.ProcessPoolExecutor = executor  # type: ignore[attr-defined]
