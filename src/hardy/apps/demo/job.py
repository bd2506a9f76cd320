"""The main job itself, a pipeline: a reader, counters that are killed, and this process, which collects."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import Empty

import hardy
from hardy import Pipeline, Queue
from hardy.apps.demo.workers import count, read
from hardy.synchronize import Event

__all__ = ["Outcome", "Tally", "run_job"]


@dataclass
class Tally:
    """What was collected.

    Attributes:
        files: how many items were counted, each once.
        words: how often each word occurred.
        rounds: how often the input was gone over.
        again: items that came from a dead counter: its pid, and when another took the item.
    """

    files: int = 0
    words: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    again: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class Outcome:
    """What the job gave.

    Attributes:
        tally: what was collected.
        killed: when each killed counter was killed, by pid, on the monotonic clock.
        seconds: how long it took.
    """

    tally: Tally
    killed: dict[int, float]
    seconds: float

    def recoveries_s(self) -> list[float]:
        """From each kill to the moment when another had the item, in seconds, sorted."""
        return sorted(at_s - self.killed[pid] for pid, at_s in self.tally.again if pid in self.killed)


class _Killer(threading.Thread):
    """Sends SIGKILL to a random counter, now and then, until enough are dead.

    Attributes:
        killed: when each was killed, by pid.
    """

    def __init__(self, pipeline: Pipeline, kills: int, interval_s: float, seed: int, enough: Event) -> None:
        super().__init__(name="demo-killer", daemon=True)
        self.killed: dict[int, float] = {}
        self._pipeline, self._kills, self._interval_s = pipeline, kills, interval_s
        self._chance = random.Random(seed)
        self._enough = enough
        self._over = threading.Event()

    def run(self) -> None:
        while len(self.killed) < self._kills and not self._over.wait(self._interval_s):
            victims = self._pipeline.pids("counter")
            if victims:
                self._kill(self._chance.choice(victims))
        self._enough.set()

    def _kill(self, pid: int) -> None:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return  # the one before it has killed this one too
        try:
            at_s = time.monotonic()
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            self.killed.setdefault(pid, at_s)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)

    def end(self) -> None:
        """No more kills."""
        self._over.set()
        self.join()


class _Ledger:
    """Who had which item, as the counters say."""

    def __init__(self, taken: Queue) -> None:
        self._taken = taken
        self._holder: dict[str, int] = {}

    def bring_up_to_date(self, tally: Tally) -> None:
        """Write down the items that came from a dead counter to another."""
        try:
            while True:
                for taken in self._taken.get_many(block=False):
                    if taken.deliveries > 1 and taken.name in self._holder:
                        tally.again.append((self._holder[taken.name], taken.at_s))
                    self._holder[taken.name] = taken.pid
        except Empty:
            return


def run_job(
    method: str | None, counters: int, kills: int, interval_s: float, seed: int, show: Callable[[int, int], None]
) -> Outcome:
    """Count the words of the standard library with processes, killing counters meanwhile.

    Args:
        method: start method; None: the default.
        counters: how many counters live at a time.
        kills: how many counters are killed, at least.
        interval_s: seconds between two kills.
        seed: of the choice whom to kill.
        show: told files counted and counters killed, now and then.
    """
    ctx = hardy.get_context(method)
    taken, enough = ctx.Queue(), ctx.Event()
    pipeline = Pipeline(ctx=ctx, max_items=64)
    pipeline.source(partial(read, enough), name="reader")
    # Whom the killer hits is chance; an item that is hit often is no bad item.
    pipeline.stage(partial(count, taken), processes=counters, max_deliveries=0, name="counter")
    ledger, tally = _Ledger(taken), Tally()
    began_s = time.monotonic()
    with pipeline:
        killer = _Killer(pipeline, kills, interval_s, seed, enough)
        killer.start()
        try:
            for counted in pipeline.results():
                tally.files += 1
                tally.words.update(counted.words)
                tally.rounds = max(tally.rounds, int(counted.name.partition(":")[0]))
                ledger.bring_up_to_date(tally)
                show(tally.files, len(killer.killed))
        finally:
            killer.end()
    ledger.bring_up_to_date(tally)
    show(tally.files, len(killer.killed))
    return Outcome(tally, killer.killed, time.monotonic() - began_s)
