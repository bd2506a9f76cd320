"""`hardy demo`: the main job, shown while it runs, and its count compared with a plain one."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hardy.apps.demo.job import Outcome, run_job
from hardy.apps.demo.words import count_words, read_source, source_files

__all__ = ["main"]


class _Plain:
    """A line every second, for logs and pipes."""

    def __init__(self, kills: int) -> None:
        self._kills = kills
        self._next_s = 0.0

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *error: object) -> None:
        sys.stdout.flush()

    def show(self, files: int, killed: int) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + 1
            print(f"files counted {files}, counters killed {killed} of {self._kills}", flush=True)


class _Live(_Plain):
    """A moving bar, for a terminal."""

    def __init__(self, kills: int, console: Console) -> None:
        super().__init__(kills)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[files]} files"), console=console)
        self._task = self._progress.add_task("counters killed", total=kills, files=0)

    def __enter__(self) -> _Live:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, files: int, killed: int) -> None:
        self._progress.update(self._task, completed=killed, files=files)


def main(argv: list[str] | None = None) -> int:
    """Run the main job.

    Args:
        argv: the command line after `hardy demo`; None: that of this process.

    Returns:
        The exit status: 0 when the two counts are equal, word for word, and enough counters were killed; else 1.
    """
    parser = argparse.ArgumentParser(
        prog="hardy demo",
        description="Count the words of the standard library with processes while counters are killed by SIGKILL; "
        "what they held is counted by others, and the result is compared with a plain count.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--counters", type=int, default=max(3, os.cpu_count() or 1), help="how many count at a time")
    parser.add_argument("--kills", type=int, default=20, help="how many counters are killed, at least")
    parser.add_argument("--interval", type=float, default=0.1, metavar="S", help="seconds between two kills")
    parser.add_argument("--method", choices=("fork", "spawn", "forkserver"), help="start method")
    parser.add_argument("--seed", type=int, default=0, help="of the choice whom to kill")
    options = parser.parse_args(argv)
    if options.counters < 1 or options.kills < 0 or options.interval <= 0:
        parser.error("--counters must be at least 1, --kills at least 0, and --interval above 0")

    console = Console()
    display = _Live(options.kills, console) if console.is_terminal else _Plain(options.kills)
    with display:
        outcome = run_job(options.method, options.counters, options.kills, options.interval, options.seed, display.show)
    words, files, plain_s = _plain_count()
    expected = Counter({word: n * outcome.tally.rounds for word, n in words.items()})
    equal = outcome.tally.words == expected and outcome.tally.files == files * outcome.tally.rounds
    console.print(_table(outcome, sum(words.values()) / plain_s, equal))
    if not equal:
        _explain(console, outcome, expected, files)
    return 0 if equal and len(outcome.killed) >= options.kills else 1


def _plain_count() -> tuple[Counter[str], int, float]:
    """The words of one round by one process, the number of files, and the seconds it took."""
    began_s = time.monotonic()
    words: Counter[str] = Counter()
    files = 0
    for path in source_files():
        words.update(count_words(read_source(path)))
        files += 1
    return words, files, time.monotonic() - began_s


def _table(outcome: Outcome, plain_rate: float, equal: bool) -> Table:
    total = sum(outcome.tally.words.values())
    recoveries = outcome.recoveries_s()
    table = Table(title="hardy demo", show_header=False)
    for name, value in (
        ("files", f"{outcome.tally.files:,} (rounds: {outcome.tally.rounds})"),
        ("words", f"{total:,}"),
        ("words/s", f"{total / outcome.seconds:,.0f} (one plain process: {plain_rate:,.0f})"),
        ("counters killed", f"{len(outcome.killed)}"),
        ("items redelivered", f"{len(outcome.tally.again)}"),
        ("recovery, median", f"{statistics.median(recoveries) * 1000:.1f} ms" if recoveries else "-"),
        ("recovery, worst", f"{recoveries[-1] * 1000:.1f} ms" if recoveries else "-"),
        ("against the plain count", "equal" if equal else "DIFFERENT"),
    ):
        table.add_row(name, value)
    return table


def _explain(console: Console, outcome: Outcome, expected: Counter[str], files: int) -> None:
    """What differs, in the first few words."""
    console.print(f"files counted {outcome.tally.files}, expected {files * outcome.tally.rounds}")
    for word in sorted(expected.keys() | outcome.tally.words.keys()):
        if expected[word] != outcome.tally.words[word]:
            console.print(f"{word!r}: counted {outcome.tally.words[word]}, expected {expected[word]}")
            break
