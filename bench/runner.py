"""Paired rounds: in each, every contender of a cell is measured close in time, in random order."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence

from bench.cells import Cell, Measure
from bench.processes import BenchError

__all__ = ["Results", "measure_all"]

# By cell (its index) and contender: operations per second, one number a round.
Results = list[dict[str, list[float]]]

# What one measurement should take. Less shows the start more than the steady state.
_TARGET_S = 0.3
# A pilot shorter than this says too little about the rate.
_PILOT_S = 0.05
_MOST = 20_000_000


def _timed(cell: Cell, who: str, measure: Measure, count: int) -> float:
    gc.collect()
    try:
        return measure(count)
    except BenchError as error:
        raise BenchError(f"{cell.family} / {cell.name} / {who}, {count} operations: {error}") from error


def _count_for(cell: Cell, who: str, measure: Measure) -> int:
    """How many operations take about the target time; found by pilots that count for nothing else."""
    most = cell.most or _MOST
    count = 1
    while True:
        seconds = _timed(cell, who, measure, count)
        if seconds >= _PILOT_S or count >= most:
            return max(1, min(most, round(count * _TARGET_S / seconds)))
        count = min(most, max(count * 4, round(count * _PILOT_S / max(seconds, 1e-6))))


def measure_all(cells: Sequence[Cell], rounds: int, random_order: random.Random, say: Callable[[str], None]) -> Results:
    """The rates of every contender of every cell.

    Args:
        cells: what to measure.
        rounds: how often.
        random_order: gives the order of cells and contenders, anew in each round.
        say: is told what goes on.
    """
    counts: list[dict[str, int]] = []
    for cell in cells:
        say(f"pilot: {cell.family}: {cell.name}")
        counts.append({who: _count_for(cell, who, measure) for who, measure in cell.contenders.items()})
    results: Results = [{who: [] for who in cell.contenders} for cell in cells]
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        for index in random_order.sample(range(len(cells)), len(cells)):
            contenders = list(cells[index].contenders.items())
            random_order.shuffle(contenders)
            for who, measure in contenders:
                count = counts[index][who]
                try:
                    seconds = _timed(cells[index], who, measure, count)
                except BenchError as error:
                    if who.startswith("hardy"):
                        raise
                    # A peer that hangs now and then is measured all the same, and the reader is told.
                    say(f"once more, for it failed: {error}")
                    seconds = _timed(cells[index], who, measure, count)
                results[index][who].append(count / seconds)
    return results
