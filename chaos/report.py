"""The table: what was done, what came of it, and the numbers that must be zero."""

from __future__ import annotations

import math
import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chaos.kits import LABELS
from chaos.rounds import Result

BAD = (
    "hangs",
    "lost",
    "doubled",
    "corrupt",
    "out of order",
    "not excluded",
    "unmarked",
    "failed beside",
    "zombies",
    "orphans",
    "leaked descriptors",
    "leaked bytes",
    "names left",
    "errors",
)
DONE = (
    "rounds",
    "kills",
    "inside an operation",
    "in a critical section",
    "SIGTERM",
    "stops",
    "main process killed",
)
CAME = ("in", "out", "held by the dead", "redelivered", "refused", "acquired", "recovered", "tasks", "tasks done")
_LABELS = {
    "kills": "kills (SIGKILL and SIGTERM)",
    "inside an operation": "... that met an operation",
    "in a critical section": "... that met a critical section",
    "SIGTERM": "... by SIGTERM",
    "stops": "SIGSTOP, SIGCONT",
    "main process killed": "main process killed",
    "in": "items in",
    "out": "items out",
    "held by the dead": "held by the dead (named)",
    "redelivered": "redelivered (marked)",
    "refused": "refused (no memory)",
    "acquired": "acquired",
    "recovered": "... from a dead holder (told)",
    "tasks": "tasks of pools",
    "tasks done": "... done",
    "failed beside": "tasks failed by another's death",
}
BEGIN, END = "<!-- chaos: the table begins -->", "<!-- chaos: the table ends -->"


@dataclass
class Totals:
    """The sum over all rounds of one library."""

    kit: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    noticed_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    orphan_s: list[float] = field(default_factory=list)
    slowest_s: float = 0.0
    failed_rounds: int = 0

    def add(self, result: Result) -> None:
        """One more round."""
        self.counts.update(result.counts)
        self.counts["rounds"] += 1
        self.failed_rounds += bool(result.wrong)
        self.seconds += result.seconds
        self.noticed_s += result.noticed_s
        self.recovered_s += result.recovered_s
        self.orphan_s += result.orphan_s
        self.slowest_s = max(self.slowest_s, result.slowest_s)

    @property
    def bad(self) -> int:
        """How much went wrong."""
        return sum(self.counts[kind] for kind in BAD)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _latency(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return " / ".join(
        f"{1000 * each:,.1f}" for each in (percentile(values, 0.5), percentile(values, 0.99), max(values))
    )


def table(all_totals: Sequence[Totals]) -> str:
    """Rows of Markdown, a column for each library."""
    rows = [["", *(LABELS.get(totals.kit, totals.kit) for totals in all_totals)]]
    rows.append(["seconds", *(f"{totals.seconds:,.0f}" for totals in all_totals)])
    for name in DONE + CAME:
        if any(totals.counts[name] for totals in all_totals):
            rows.append([_LABELS.get(name, name), *(f"{totals.counts[name]:,}" for totals in all_totals)])
    for name in BAD:
        cells = [f"**{totals.counts[name]:,}**" if totals.counts[name] else "0" for totals in all_totals]
        rows.append([f"**{_LABELS.get(name, name)}**", *cells])
    rows.append(["**rounds that failed**", *(f"{totals.failed_rounds:,}" for totals in all_totals)])
    rows.append(["death noticed, ms: p50 / p99 / worst", *(_latency(totals.noticed_s) for totals in all_totals)])
    rows.append(["others went on, ms: p50 / p99 / worst", *(_latency(totals.recovered_s) for totals in all_totals)])
    rows.append(["children of the dead ended, ms: worst", *(_worst(totals.orphan_s) for totals in all_totals)])
    rows.append(
        ["an item waited beside a waiting consumer, ms: worst", *(_worst([each.slowest_s]) for each in all_totals)]
    )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "| " + " | ".join(["---", *(["---:"] * (len(rows[0]) - 1))]) + " |")
    return "\n".join(lines)


def _worst(values: Sequence[float]) -> str:
    return f"{1000 * max(values):,.1f}" if any(values) else "-"


def describe(seed: int, seconds: float) -> str:
    """Where and how the figures were taken."""
    from hardy import __version__

    model = "processor unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Seed {seed}, asked for {seconds:g} s of hardy {__version__}; {os.cpu_count()} cores ({model}), "
        f"{memory:.0f} GiB, Linux {platform.release()}, {platform.python_implementation()} "
        f"{platform.python_version()}; "
        f"load at the end: {', '.join(f'{load:.1f}' for load in os.getloadavg())}."
    )


def write(document: Path, text: str) -> None:
    """Put the text between the marks of the document.

    Raises:
        ValueError: the document has no such marks.
    """
    old = document.read_text()
    head, found, rest = old.partition(BEGIN)
    _, found_too, tail = rest.partition(END)
    if not (found and found_too):
        raise ValueError(f"{document} has no lines {BEGIN!r} and {END!r} between which the table could stand")
    document.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
