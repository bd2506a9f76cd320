"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from bench.cells import Cell
from bench.ratios import Ratio, ratio_of

__all__ = ["aims_table", "behind_table", "family_table", "peers_table", "table"]

Rates = dict[str, list[float]]
_HARDY = "hardy"
_HARDY_MANY = "hardy, many"
# What the machine can do, for comparison: not a library that one could choose instead.
_NO_PEERS = ("os.fork", "plain C", "plain C, many", "without", "without, again")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def as_rate(rate: float) -> str:
    """Operations per second, in three figures."""
    for factor, letter in ((1e6, " M"), (1e3, " k")):
        if rate >= factor:
            return f"{rate / factor:.3g}{letter}"
    return f"{rate:.3g}"


def as_time(rate: float) -> str:
    """The time of one operation, in three figures."""
    seconds = 1 / rate
    for factor, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def family_table(cells: Sequence[tuple[Cell, Rates]], show: Callable[[float], str]) -> str:
    """Each contender of each cell: the median, and the ratio to the baseline."""

    def rows() -> Iterator[Sequence[str]]:
        for cell, rates in cells:
            for who, values in rates.items():
                ratio = "1" if who == cell.baseline else str(ratio_of(values, rates[cell.baseline]))
                yield cell.name, who, show(median(values)), ratio

    baselines = {cell.baseline for cell, _ in cells}
    header = ("cell", "who", "median", f"times as fast as {' or '.join(sorted(baselines))}")
    return table(header, rows())


def aims_table(cells: Sequence[tuple[Cell, Rates]]) -> str:
    """What was aimed at, and what was reached."""

    def rows() -> Iterator[Sequence[str]]:
        for cell, rates in cells:
            for who, aim in cell.aims.items():
                ratio = ratio_of(rates[who], rates[cell.baseline])
                prototype = "" if aim.prototype is None else f"{aim.prototype:g}x"
                reached = "reached" if ratio.middle >= aim.ratio else "not reached"
                yield cell.family, cell.name, who, str(ratio), f"{aim.ratio:.3g}x", reached, prototype

    return table(("table", "cell", "who", "ratio", "aim", "", "prototype"), rows())


def behind_table(cells: Sequence[tuple[Cell, Rates]]) -> str:
    """The peers that hardy is not ahead of, or an empty string: behind, and undecided."""
    rows = [
        (cell.family, cell.name, who, str(ratio))
        for cell, rates in cells
        for who, ratio in _over_peers(rates)
        if ratio.middle < 1 or ratio.undecided
    ]
    return table(("table", "cell", "peer", "hardy is so many times as fast"), rows) if rows else ""


def _over_peers(rates: Rates) -> Iterator[tuple[str, Ratio]]:
    """Hardy over each other contender: one at a time over one at a time, many over many."""
    for who, values in rates.items():
        ours = _HARDY_MANY if who.endswith(", many") else _HARDY
        if ours in rates and not who.startswith(_HARDY) and who not in _NO_PEERS:
            yield who, ratio_of(rates[ours], values)


def peers_table(cells: Sequence[tuple[Cell, Rates]]) -> str:
    """Hardy over each of its peers."""
    rows = ((cell.name, who, str(ratio)) for cell, rates in cells for who, ratio in _over_peers(rates))
    return table(("cell", "peer", "hardy is so many times as fast"), rows)
