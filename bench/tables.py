"""Markdown tables of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from bench.cells import Cell
from bench.ratios import Ratio, ratio_of

__all__ = ["family_table", "peers_table", "prototype_table", "table"]

Rates = dict[str, list[float]]
_HARDY = "hardy"
_HARDY_MANY = "hardy, many"


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


def _against(ratio: Ratio, prototype: float) -> str:
    return "reached" if ratio.middle >= prototype else "not reached"


def prototype_table(cells: Sequence[tuple[Cell, Rates]]) -> str:
    """Hardy's ratios beside those of the prototype of its core."""

    def rows() -> Iterator[Sequence[str]]:
        for cell, rates in cells:
            for who, prototype in ((_HARDY, cell.prototype), (_HARDY_MANY, cell.prototype_many)):
                if prototype is not None and who in rates:
                    ratio = ratio_of(rates[who], rates[cell.baseline])
                    name = cell.name if cell.family.startswith("One way") else f"{cell.family}, {cell.name}"
                    name = f"{name}, many" if who == _HARDY_MANY else name
                    yield name, str(ratio), f"{prototype:g}x", _against(ratio, prototype)

    return table(("cell", "hardy", "prototype", ""), rows())


def peers_table(cells: Sequence[tuple[Cell, Rates]]) -> str:
    """Hardy over each other contender: one at a time over one at a time, many over many."""

    def rows() -> Iterator[Sequence[str]]:
        for cell, rates in cells:
            for who, values in rates.items():
                if who in (_HARDY, _HARDY_MANY):
                    continue
                ours = _HARDY_MANY if who.endswith(", many") else _HARDY
                yield cell.name, who, str(ratio_of(rates[ours], values))

    return table(("cell", "peer", "hardy is so many times as fast"), rows())
