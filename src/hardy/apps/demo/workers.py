"""The processes of the main job: a reader, counters that may be killed at any instruction, a collector."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hardy.apps.demo.words import count_words, read_source, source_files

if TYPE_CHECKING:
    from hardy import Queue, TaskQueue
    from hardy.synchronize import Event

__all__ = ["Counted", "Taken", "Tally", "collect", "count", "read"]


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


@dataclass
class Tally:
    """All that the collector knows at the end.

    Attributes:
        files: how many items were counted, each once.
        words: how often each word occurred.
        again: items that came from a dead counter: its pid, and when another took the item.
        doubles: results that came twice, since a counter died between its result and its ack; the second
            was left out.
    """

    files: int = 0
    words: Counter[str] = field(default_factory=Counter)
    again: list[tuple[int, float]] = field(default_factory=list)
    doubles: int = 0


def read(tasks: TaskQueue[tuple[str, str]], enough: Event) -> int:
    """Puts every file, in rounds under new names, until `enough` is set at the end of one; returns the rounds."""
    rounds = 0
    while rounds == 0 or not enough.is_set():
        rounds += 1
        for path in source_files():
            tasks.put((f"{rounds}:{path}", read_source(path)))
    return rounds


def count(tasks: TaskQueue[tuple[str, str]], results: Queue) -> None:
    """Counts items until there are no more. Killed, its item goes to another counter."""
    for lease in tasks:
        with lease as (name, text):
            results.put(Taken(name, os.getpid(), lease.deliveries, time.monotonic()))
            results.put(Counted(name, count_words(text)))


def collect(results: Queue, progress: Queue) -> Tally:
    """Adds up what the counters send, each item once."""
    tally = Tally()
    holder: dict[str, int] = {}
    done: set[str] = set()
    for message in results:
        if isinstance(message, Taken):
            if message.deliveries > 1 and message.name in holder:
                tally.again.append((holder[message.name], message.at_s))
            holder[message.name] = message.pid
        elif message.name in done:
            tally.doubles += 1
        else:
            done.add(message.name)
            tally.files += 1
            tally.words.update(message.words)
            progress.put(1)
    return tally
