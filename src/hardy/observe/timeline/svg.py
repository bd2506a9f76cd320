"""A timeline as SVG: small, and the same for the same timeline, so that it can stand in documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TypeVar

from hardy.observe.timeline.read import Flow, Interval, Life, Timeline

__all__ = ["draw", "duration"]

_T = TypeVar("_T")

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 1000, 170, 24, 46, 44, 24
_MOST_FLOWS = 300
_MOST_INTERVALS = 4000
COLOURS = {
    "run": "#cfe8d5",
    "wait": "#d9d9de",
    "hold": "#e0a100",
    "task": "#4c8bf5",
    "span": "#8e63ce",
    "put": "#00796b",
    "get": "#c2185b",
}
_LEGEND = (
    ("run", "runs"),
    ("wait", "waits"),
    ("task", "task"),
    ("span", "span"),
    ("hold", "holds a lock"),
    ("put", "put"),
    ("get", "get"),
)


def duration(ns: float) -> str:
    """A length of time for people."""
    for size, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "µs")):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def draw(timeline: Timeline) -> str:
    """The picture, as the text of a file."""
    return "\n".join(_Picture(timeline).lines()) + "\n"


class _Picture:
    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.scale = (_WIDTH - _LEFT - _RIGHT) / timeline.length_ns
        self.row = {life.identity: at for at, life in enumerate(timeline.lives)}
        self.height = _TOP + _ROW * len(timeline.lives) + 40

    def x(self, ns: int) -> float:
        return round(_LEFT + ns * self.scale, 1)

    def lines(self) -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {self.height}" width="{_WIDTH}" '
            f'height="{self.height}" font-family="system-ui, sans-serif" font-size="12">'
        )
        yield f'<rect width="{_WIDTH}" height="{self.height}" fill="#ffffff"/>'
        yield from self.legend()
        yield from self.axis()
        for life in self.timeline.lives:
            yield from self.life(life)
        yield from self.flows()
        yield "</svg>"

    def legend(self) -> Iterator[str]:
        x = _LEFT
        for kind, text in _LEGEND:
            yield f'<rect x="{x}" y="12" width="12" height="12" rx="2" fill="{COLOURS[kind]}"/>'
            yield f'<text x="{x + 17}" y="22" fill="#333">{text}</text>'
            x += 34 + 7 * len(text)
        yield f'<text x="{x}" y="22" fill="#c62828">✕</text><text x="{x + 17}" y="22" fill="#333">killed</text>'

    def axis(self) -> Iterator[str]:
        bottom = self.height - 30
        step = _step(self.timeline.length_ns)
        for at in range(0, self.timeline.length_ns + 1, step):
            x = self.x(at)
            yield f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{bottom}" stroke="#e6e6ea"/>'
            yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#555">{duration(at) if at else 0}</text>'
        if text := self.timeline.missing:
            yield f'<text x="4" y="{bottom + 18}" fill="#c62828">{text}</text>'

    def life(self, life: Life) -> Iterator[str]:
        y = _TOP + _ROW * self.row[life.identity]
        ending = life.ending or "running"
        name = escape(_short(life.name or "process", 22))
        yield f'<text x="8" y="{y + 12}" fill="#111" font-weight="600">{name}</text>'
        yield f'<text x="8" y="{y + 26}" fill="#666" font-size="11">pid {life.pid} · {escape(ending)}</text>'
        yield self.bar(COLOURS["run"], life.begin_ns, life.end_ns, y, _BAR, f"{life.name}: {ending}")
        for each in _thinned(life.intervals, _MOST_INTERVALS):
            yield from self.interval(each, y)
        if life.killed:
            x = self.x(life.end_ns)
            yield (
                f'<path d="M{x - 6} {y + 6}l12 12m0 -12l-12 12" stroke="#c62828" stroke-width="2.5">'
                f"<title>{escape(life.name)} killed: {escape(ending)}</title></path>"
            )

    def interval(self, each: Interval, y: int) -> Iterator[str]:
        colour = COLOURS[each.kind]
        title = f"{each.kind}: {each.name}"
        if each.kind in ("put", "get"):
            x = self.x(each.begin_ns)
            yield (
                f'<line x1="{x}" y1="{y + 2}" x2="{x}" y2="{y + _BAR - 2}" stroke="{colour}" stroke-width="1.5">'
                f"<title>{escape(title)}</title></line>"
            )
            return
        title += f", {duration(each.end_ns - each.begin_ns)}"
        if each.kind == "hold":
            yield self.bar(colour, each.begin_ns, each.end_ns, y + _BAR, 4, title)
            return
        yield self.bar(colour, each.begin_ns, each.end_ns, y + 4, _BAR - 8, title)
        wide = (each.end_ns - each.begin_ns) * self.scale
        if each.kind != "wait" and wide > 30:
            text = escape(_short(each.name, int(wide / 6.5)))
            yield (
                f'<text x="{self.x(each.begin_ns) + 4}" y="{y + 16}" fill="#fff" font-size="11" '
                f'pointer-events="none">{text}</text>'
            )

    def bar(self, colour: str, begin: int, end: int, y: int, height: int, title: str) -> str:
        width = max(round((end - begin) * self.scale, 1), 0.8)
        return (
            f'<rect x="{self.x(begin)}" y="{y}" width="{width}" height="{height}" rx="2" fill="{colour}">'
            f"<title>{escape(title)}</title></rect>"
        )

    def flows(self) -> Iterator[str]:
        yield (
            '<defs><marker id="tip" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" markerHeight="6" '
            'orient="auto"><path d="M0 0L6 3L0 6z" fill="#455a64"/></marker></defs>'
        )
        for flow in _thinned([flow for flow in self.timeline.flows if flow.source != flow.target], _MOST_FLOWS):
            yield self.flow(flow)

    def flow(self, flow: Flow) -> str:
        x1, x2 = self.x(flow.put_ns), self.x(flow.get_ns)
        y1, y2 = (_TOP + _ROW * self.row[whose] for whose in (flow.source, flow.target))
        y1, y2 = (y1 + _BAR - 2, y2 + 2) if y2 > y1 else (y1 + 2, y2 + _BAR - 2)
        bend = round((y2 - y1) / 2, 1)
        return (
            f'<path d="M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}" fill="none" stroke="#455a64" '
            f'stroke-opacity="0.55" marker-end="url(#tip)"><title>message in {escape(flow.queue)}</title></path>'
        )


def _thinned(items: list[_T], most: int) -> Iterable[_T]:
    """All, or evenly chosen ones: more than there are pixels help nobody."""
    return items if len(items) <= most else (items[i * len(items) // most] for i in range(most))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 0)] + "…"


def _step(length_ns: int) -> int:
    """About eight parts, each 1, 2 or 5 times a power of ten."""
    size = 1
    while size * 10 <= length_ns / 8:
        size *= 10
    return next(size * times for times in (1, 2, 5, 10) if size * times >= length_ns / 8)
