"""Processes of a test that run until its block ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hardy

__all__ = ["running"]


@contextmanager
def running(*calls: Callable[[], object], **options: Any) -> Iterator[list[hardy.Process]]:
    """A process for each, killed at the end.

    Args:
        *calls: the targets.
        **options: of `Process`, for each; the names are w1, w2, ... unless given.
    """
    processes = [
        hardy.Process(target=call, **{"name": f"w{number}", **options}) for number, call in enumerate(calls, 1)
    ]
    for each in processes:
        each.start()
    try:
        yield processes
    finally:
        for each in processes:
            each.kill()
        for each in processes:
            each.join()
