"""`python -m chaos.soak`: work for hours, with a kill now and then, and see that nothing grows and nothing slows down.

Three worlds at a time (a queue, a task queue, a lock), each with its main process and eight seats. Every so often their
memory, descriptors and rates are written down. In the end the first third of the samples is compared with the last; the
very first are left out, for a program has to warm up.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from chaos import isolation, ledger, plan, watch, world
from chaos.ledger import Ledger
from chaos.rounds import end_adopted
from chaos.victims import Target, tree_of
from chaos.world import SEATS

SUBJECTS = ("Queue", "TaskQueue", "Lock")
_RECORDS = 4096
_SAMPLES = 60
_WARM_UP = 0.2
# What counts as flat.
MOST_BYTES = 6 << 20
MOST_SHARE = 0.1
MOST_DESCRIPTORS = 3
LEAST_RATE = 0.4
_HANG_S = 15.0


@dataclass(frozen=True)
class Sample:
    """One world at one time."""

    at_s: float
    main_bytes: int
    tree_bytes: int
    descriptors: int
    operations: int


@dataclass
class Soaked:
    """One world over the whole time."""

    subject: str
    samples: list[Sample] = field(default_factory=list)
    kills: int = 0
    hung: bool = False
    texts: list[str] = field(default_factory=list)

    def ends(self) -> tuple[list[Sample], list[Sample]]:
        """The first and the last third of what came after the warm-up."""
        warm = self.samples[int(len(self.samples) * _WARM_UP) :]
        third = max(2, len(warm) // 3)
        return warm[:third], warm[-third:]

    def rates(self, part: list[Sample]) -> float:
        """Operations a second in that part."""
        seconds = part[-1].at_s - part[0].at_s
        return (part[-1].operations - part[0].operations) / seconds if seconds else 0.0

    def judge(self) -> list[str]:
        """A line for each thing that is not flat."""
        wrong = [f"{self.subject}: {text}" for text in self.texts]
        if self.hung:
            wrong.append(f"{self.subject}: hung for {_HANG_S:g} s")
        if len(self.samples) < 6:
            return [*wrong, f"{self.subject}: {len(self.samples)} samples say nothing; give it more SECONDS"]
        first, last = self.ends()
        for name in ("main_bytes", "tree_bytes"):
            before, after = (statistics.median(getattr(each, name) for each in part) for part in (first, last))
            if after - before > MOST_BYTES + MOST_SHARE * before:
                wrong.append(f"{self.subject}: {name} grew from {before:,.0f} to {after:,.0f}")
        before, after = (statistics.median(each.descriptors for each in part) for part in (first, last))
        if after - before > MOST_DESCRIPTORS:
            wrong.append(f"{self.subject}: descriptors grew from {before:g} to {after:g}")
        if self.rates(last) < LEAST_RATE * self.rates(first):
            wrong.append(f"{self.subject}: {self.rates(first):,.0f} operations a second became {self.rates(last):,.0f}")
        return wrong


def table(soaked: list[Soaked]) -> str:
    """What was measured, in Markdown."""
    lines = [
        "| | kills | main process, MiB | all, MiB | descriptors | operations/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in soaked:
        if len(each.samples) < 6:
            continue
        first, last = each.ends()
        cells = [f"{each.kills:,}"]
        for name, unit in (("main_bytes", 2**20), ("tree_bytes", 2**20), ("descriptors", 1)):
            cells.append(
                " -> ".join(
                    f"{statistics.median(getattr(sample, name) for sample in part) / unit:,.1f}"
                    for part in (first, last)
                )
            )
        cells.append(f"{each.rates(first):,.0f} -> {each.rates(last):,.0f}")
        lines.append(f"| {each.subject} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


class _World:
    """One of the worlds."""

    def __init__(self, kit: str, seed: int, number: int, subject: str) -> None:
        self.soaked = Soaked(subject)
        self._book = Ledger(SEATS + 1, _RECORDS, wraps=True)
        self._progress = watch.Progress(self._book, _HANG_S)
        drawn = plan.Plan(
            seed,
            number,
            kit,
            subject,
            plan.BUSY,
            "fork",
            nested=False,
            limits=False,
            term_handler=False,
            kill_main=False,
        )
        place = f"/proc/{os.getpid()}/fd/{self._book.fd}"
        command = [
            sys.executable,
            "-m",
            "chaos.world",
            world.to_text(drawn),
            place,
            str(SEATS + 1),
            str(_RECORDS),
            "wrap",
        ]
        self._main = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def kill_one(self, rng: random.Random) -> None:
        """Any seat."""
        try:
            target = Target(self._book.seat_word(rng.randrange(SEATS), ledger.PID) or self._main.pid)
        except OSError:
            return  # it has just died
        if target.pid != self._main.pid:
            self.soaked.kills += target.send(signal.SIGKILL)
        target.close()

    def sample(self, at_s: float) -> None:
        """Write down how it is."""
        tree = tree_of(self._main.pid)
        main_bytes = _resident(self._main.pid)
        self.soaked.samples.append(
            Sample(
                at_s,
                main_bytes,
                main_bytes + sum(map(_resident, tree)),
                len(os.listdir(f"/proc/{self._main.pid}/fd")),
                sum(self._book.seat_word(seat, ledger.COUNT) for seat in range(SEATS)),
            )
        )
        self.soaked.hung |= self._progress.has_stalled()

    def has_failed(self) -> bool:
        """Whether there is no sense in going on."""
        return self.soaked.hung or self._main.poll() is not None

    def end(self) -> None:
        """The whole of it."""
        self.soaked.texts = [text for seat in range(SEATS + 1) if (text := self._book.text(seat))]
        if self._main.poll() is not None:
            self.soaked.texts.append(f"the main process ended with status {self._main.returncode}")
        self._main.kill()
        self._main.wait()
        self._book.close()


def _resident(pid: int) -> int:
    """Bytes in memory that the process does not share with files (what is shared is counted in each)."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(kit: str, seconds: float, seed: int, kills_per_s: float) -> list[Soaked]:
    """Run the worlds for that long."""
    rng = plan.generator(seed, 0)
    worlds = [_World(kit, seed, number, subject) for number, subject in enumerate(SUBJECTS)]
    began = time.monotonic()
    due = began + seconds / _SAMPLES
    try:
        while (now := time.monotonic()) - began < seconds and not any(each.has_failed() for each in worlds):
            time.sleep(rng.expovariate(kills_per_s))
            rng.choice(worlds).kill_one(rng)
            if now >= due:
                due += seconds / _SAMPLES
                for each in worlds:
                    each.sample(now - began)
    finally:
        for each in worlds:
            each.end()
        end_adopted()
    return [each.soaked for each in worlds]


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 when something is not flat."""
    parser = argparse.ArgumentParser(prog="python -m chaos.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long (default: an hour)")
    parser.add_argument("--seed", type=int, default=1, help="of the kills (default: 1)")
    parser.add_argument("--kills-per-s", type=float, default=4.0, help="(default: 4)")
    parser.add_argument("--kit", default="hardy", help="what is soaked (default: hardy)")
    options = parser.parse_args(arguments)
    isolation.adopt_orphans()
    soaked = soak(options.kit, options.seconds, options.seed, options.kills_per_s)
    print(table(soaked))
    wrong = [line for each in soaked for line in each.judge()]
    for line in wrong:
        print(f"NOT FLAT: {line}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
