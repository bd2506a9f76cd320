"""Runs of users as rows on one time line, in characters: who read when, and who wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from hardy.apps.tickets.rush import Rush

__all__ = ["LEGEND", "draw"]

# From the step to the next one: what is drawn.
_MARKS = {"ask": ("·", "dim"), "turn": ("r", "cyan"), "read": ("-", "yellow"), "write": ("W", "bold green")}
_KILLED = ("x", "bold red")
_MOST_ROWS = 24

LEGEND = "· waits for its turn   r reads what is left   - thinks, with what it read   W writes   x killed"


def _row(steps: Sequence[tuple[str, float]], killed: bool, columns: int, seconds: float) -> Text:
    cells = [(" ", "")] * columns

    def column(at_s: float) -> int:
        return min(columns - 1, int(at_s / seconds * columns))

    for (step, at_s), (_, until_s) in zip(steps, [*steps[1:], ("", steps[-1][1] if steps else 0.0)], strict=True):
        if step in _MARKS:
            for place in range(column(at_s), max(column(at_s) + 1, column(until_s))):
                cells[place] = _MARKS[step]
    # A read and a write are shorter than a column: they must not be painted over.
    for step, at_s in steps:
        if step in ("turn", "write"):
            cells[column(at_s)] = _MARKS[step]
    if killed and steps:
        cells[min(columns - 1, column(steps[-1][1]) + 1)] = _KILLED
    row = Text()
    for mark, style in cells:
        row.append(mark, style)
    return row


def draw(runs: Mapping[str, Rush], columns: int) -> Iterator[Text]:
    """The lines of the picture: for each run its title, and a row for each user.

    Args:
        runs: by title; all are drawn to the same scale.
        columns: width of the whole.
    """
    seconds = max(
        max((at_s for steps in rush.steps.values() for _, at_s in steps), default=0) for rush in runs.values()
    )
    seconds = max(seconds, 1e-6) * 1.02
    for title, rush in runs.items():
        yield Text(title, "bold")
        names = sorted(rush.steps, key=lambda name: rush.steps[name][0][1] if rush.steps[name] else seconds)
        width = max(len(name) for name in names) + 2
        for name in names[:_MOST_ROWS]:
            line = Text(f"{name:<{width}}")
            line.append_text(_row(rush.steps[name], name in rush.killed, max(10, columns - width - 8), seconds))
            yield line.append("  got it" if name in rush.receipts else "", "green")
        if len(names) > _MOST_ROWS:
            yield Text(f"... and {len(names) - _MOST_ROWS} more")
    yield Text(f"0 s {'-' * max(0, columns - 20)} {seconds:.2f} s", "dim")
    yield Text(LEGEND, "dim")
