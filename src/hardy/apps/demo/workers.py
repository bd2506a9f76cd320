"""The steps of the main job: a reader, and counters that may be killed at any instruction."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hardy import current_delivery
from hardy.apps.demo.words import count_words, read_source, source_files

if TYPE_CHECKING:
    from hardy import Queue
    from hardy.synchronize import Event

__all__ = ["Counted", "Taken", "count", "read"]


@dataclass
class Taken:
    """A counter has an item in hand.

    Attributes:
        name: of the item.
        pid: of the counter.
        deliveries: above 1: an earlier holder of the item died.
        at_s: when, on the monotonic clock, which all processes share.
    """

    name: str
    pid: int
    deliveries: int
    at_s: float


@dataclass
class Counted:
    """The words of one item."""

    name: str
    words: Counter[str]


def read(enough: Event) -> Iterator[tuple[str, str]]:
    """Every file, in rounds under new names, until `enough` is set at the end of one."""
    rounds = 0
    while rounds == 0 or not enough.is_set():
        rounds += 1
        for path in source_files():
            yield f"{rounds}:{path}", read_source(path)


def count(taken: Queue, item: tuple[str, str]) -> Counted:
    """The words of an item. Killed meanwhile, the item goes to another counter."""
    name, text = item
    taken.put(Taken(name, os.getpid(), current_delivery().deliveries, time.monotonic()))
    return Counted(name, count_words(text))
