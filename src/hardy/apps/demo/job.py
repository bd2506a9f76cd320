"""The main job itself: processes started, killed, replaced, until the count is whole."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from queue import Empty
from typing import Any

import hardy
from hardy.apps.demo.workers import Tally, collect, count, read

__all__ = ["Outcome", "run_job"]


@dataclass
class Outcome:
    """What the job gave.

    Attributes:
        tally: what the collector has.
        rounds: how often the input was gone over.
        killed: when each killed counter was killed, by pid, on the monotonic clock.
        seconds: how long it took.
    """

    tally: Tally
    rounds: int
    seconds: float
    killed: dict[int, float] = field(default_factory=dict)

    def recoveries_s(self) -> list[float]:
        """From each kill to the moment when another had the item, in seconds, sorted."""
        return sorted(at_s - self.killed[pid] for pid, at_s in self.tally.again if pid in self.killed)


class _Counters:
    """The counters that live now; the dead are replaced."""

    def __init__(self, ctx: Any, number: int, tasks: Any, results: Any, chance: random.Random) -> None:
        self._ctx, self._queues = ctx, (tasks, results)
        self._numbers = itertools.count(1)
        self._chance = chance
        self._living: list[Any] = []
        self._number = number
        self.killed: dict[int, float] = {}

    def replace_dead(self) -> None:
        for process in [each for each in self._living if not each.is_alive()]:
            self._living.remove(process)
            process.close()
        while len(self._living) < self._number:
            name = f"counter-{next(self._numbers)}"
            process = self._ctx.Process(target=count, args=self._queues, name=name, daemon=True)
            process.start()
            self._living.append(process)

    def kill_one(self) -> None:
        victim = self._chance.choice(self._living)
        self.killed[victim.pid] = time.monotonic()
        victim.kill()

    def wait(self, seconds: float) -> None:
        """Until one of them ends, or the time is over."""
        wait([process.sentinel for process in self._living], seconds)

    def join(self) -> None:
        for process in self._living:
            process.join()
            process.close()


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
    tasks, results, progress, enough = ctx.TaskQueue(64), ctx.Queue(256), ctx.Queue(), ctx.Event()
    began_s = time.monotonic()
    reader = ctx.Process(target=read, args=(tasks, enough), name="reader", daemon=True)
    collector = ctx.Process(target=collect, args=(results, progress), name="collector", daemon=True)
    crew = _Counters(ctx, counters, tasks, results, random.Random(seed))
    collector.start()
    reader.start()
    crew.replace_dead()
    files = 0
    next_kill_s = began_s + interval_s
    while reader.is_alive() or not _is_done(tasks):
        now_s = time.monotonic()
        if now_s >= next_kill_s and len(crew.killed) < kills:
            crew.kill_one()
            next_kill_s = now_s + interval_s
        if len(crew.killed) >= kills:
            enough.set()
        crew.wait(min(interval_s, max(0.0, next_kill_s - now_s)))
        crew.replace_dead()
        files += _drain(progress)
        show(files, len(crew.killed))
    rounds = reader.result()
    tasks.close()
    crew.join()
    results.close()
    tally = collector.result()
    return Outcome(tally, rounds, time.monotonic() - began_s, crew.killed)


def _is_done(tasks: Any) -> bool:
    try:
        tasks.join(0)
    except TimeoutError:
        return False
    return True


def _drain(progress: Any) -> int:
    files = 0
    try:
        while True:
            files += sum(progress.get_many(block=False))
    except Empty:
        return files
