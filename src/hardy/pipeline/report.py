"""What a pipeline says of itself, while it runs and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DeadItem", "PipelineReport", "StepReport"]


@dataclass(frozen=True)
class DeadItem:
    """An item that a step could not be done with.

    Attributes:
        step: the name of the step.
        item: what it was given; None when it cannot be rebuilt in this process.
        deliveries: how often it was given out.
        error: what the last try ended in, in one line.
        traceback: of the exception in the step's process; "" when that process died.
        id: the item's id in the pipeline, or None when it is not known.
    """

    step: str
    item: Any
    deliveries: int
    error: str
    traceback: str = ""
    id: tuple[int, ...] | None = None


@dataclass(frozen=True)
class StepReport:
    """One step, up to now.

    Attributes:
        name: the step's.
        kind: `source`, `stage` or `sink`.
        processes: how many it has.
        taken: how often an item was given out to it (a source: 0).
        done: how many items it was done with (a source: how many it gave). An item whose process was killed before
            it was acknowledged, but after it was counted, counts twice.
        put: how many items it gave on.
        redelivered: how many of `taken` had been given out before.
        failed: how many tries ended in an exception.
        deaths: how many of its processes died, but for one that did so in the instant in which the step was ended.
        waiting: how many items wait for it now.
        rate: items done, a second.
    """

    name: str
    kind: str
    processes: int
    taken: int
    done: int
    put: int
    redelivered: int
    failed: int
    deaths: int
    waiting: int
    rate: float


@dataclass(frozen=True)
class PipelineReport:
    """All of a pipeline, up to now. Its text is a table.

    Attributes:
        steps: in order.
        dead: the items that a step could not be done with.
        results: how many items `results()` gave, each once.
        doubles: how many twins the end of the pipeline left out.
        seconds: since the start, up to the end.
        complete: whether all that the sources gave went through.
    """

    steps: tuple[StepReport, ...]
    dead: tuple[DeadItem, ...]
    results: int
    doubles: int
    seconds: float
    complete: bool

    def step(self, name: str) -> StepReport:
        """The step of that name.

        Raises:
            KeyError: there is none.
        """
        for each in self.steps:
            if each.name == name:
                return each
        raise KeyError(name)

    def __str__(self) -> str:
        head = ("step", "processes", "done", "done/s", "again", "failed", "deaths", "waiting")
        rows: list[tuple[str, ...]] = [head]
        for each in self.steps:
            counts = (each.redelivered, each.failed, each.deaths, each.waiting)
            rows.append(
                (each.name, str(each.processes), f"{each.done:,}", f"{each.rate:,.0f}", *(f"{n:,}" for n in counts))
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows]
        end = "complete" if self.complete else "not complete"
        return "\n".join([*lines, f"{end} after {self.seconds:.1f} s; dead items: {len(self.dead)}"])
