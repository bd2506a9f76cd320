"""A timeline as a file: the name's end says of which kind."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from hardy.observe.timeline.read import Life, Timeline
from hardy.observe.timeline.svg import draw

__all__ = ["as_page", "as_perfetto", "write"]


def write(timeline: Timeline, path: str) -> None:
    """Write it.

    Raises:
        ModuleNotFoundError: for .png, CairoSVG is not installed.
        OSError: the file cannot be written.
    """
    form = path.rpartition(".")[2]
    if form == "png":
        _write_png(draw(timeline), path)
        return
    text = {"html": as_page, "json": as_perfetto, "svg": draw}[form](timeline)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _write_png(svg: str, path: str) -> None:
    try:
        import cairosvg  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: a PNG is drawn by CairoSVG, which is not installed: pip install 'hardy[png]'. "
            "Or write .svg, which needs nothing"
        ) from error
    cairosvg.svg2png(bytestring=svg.encode(), write_to=path, scale=2, background_color="white")


def as_perfetto(timeline: Timeline) -> str:
    """The JSON that ui.perfetto.dev and chrome://tracing read (times in microseconds)."""
    events: list[dict[str, Any]] = []
    by_identity = {life.identity: life for life in timeline.lives}
    for order, life in enumerate(timeline.lives):
        events += _life_events(life, order)
    for number, flow in enumerate(timeline.flows):
        common = {"name": flow.queue, "cat": "message", "id": number}
        for phase, whose, at in (("s", flow.source, flow.put_ns), ("f", flow.target, flow.get_ns)):
            pid = by_identity[whose].pid
            event = {**common, "ph": phase, "pid": pid, "tid": pid, "ts": at / 1000}
            events.append({**event, "bp": "e"} if phase == "f" else event)
    other = {
        "began_ns_since_1970": timeline.began_wall_ns,
        "dropped_events": timeline.dropped,
        "unknown_ends": timeline.unknown_ends,
    }
    return json.dumps({"traceEvents": events, "displayTimeUnit": "ms", "otherData": other})


def _life_events(life: Life, order: int) -> list[dict[str, Any]]:
    pid = life.pid
    threads: dict[int, int] = {}
    label = f"{life.name or 'process'} ({life.ending or 'running'})"
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": pid, "tid": pid, "args": {"name": label}},
        {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": pid, "args": {"sort_index": order}},
    ]
    if life.killed:
        mark = {"ph": "i", "s": "p", "name": f"killed: {life.ending}", "cat": "kill"}
        events.append({**mark, "pid": pid, "tid": pid, "ts": life.end_ns / 1000})
    for each in life.intervals:
        # The first thread that is heard of is the main thread, which bears the process's number.
        tid = threads.setdefault(each.thread, pid + len(threads))
        event: dict[str, Any] = {"name": each.name, "cat": each.kind, "pid": pid, "ts": each.begin_ns / 1000}
        length = max(each.end_ns - each.begin_ns, 1) / 1000
        if each.kind == "hold":
            # Holds need not nest with spans and waits, as slices of one track must.
            identifier = f"{pid}-{each.thread}-{each.begin_ns}"
            end = (each.begin_ns + max(each.end_ns - each.begin_ns, 1)) / 1000
            events.append({**event, "ph": "b", "tid": tid, "id": identifier})
            events.append({**event, "ph": "e", "tid": tid, "id": identifier, "ts": end})
        else:
            events.append({**event, "ph": "X", "tid": tid, "dur": length})
    return events


def as_page(timeline: Timeline) -> str:
    """One HTML page that needs nothing else, not even a network."""
    names: dict[str, int] = {}
    number = {life.identity: at for at, life in enumerate(timeline.lives)}

    def known(name: str) -> int:
        return names.setdefault(name, len(names))

    lives = [
        {
            "name": life.name or "process",
            "pid": life.pid,
            "parent": number.get(life.parent, -1),
            "begin": life.begin_ns,
            "end": life.end_ns,
            "ending": life.ending,
            "killed": life.killed,
            "did": [[i.kind, known(i.name), i.begin_ns, i.end_ns, int(i.cut)] for i in life.intervals],
        }
        for life in timeline.lives
    ]
    flows = [[number[f.source], f.put_ns, number[f.target], f.get_ns, known(f.queue)] for f in timeline.flows]
    data = {
        "lives": lives,
        "flows": flows,
        "names": list(names),
        "length": timeline.length_ns,
        "missing": timeline.missing,
    }
    page = resources.files("hardy.observe.timeline").joinpath("page.html").read_text(encoding="utf-8")
    # No name may end the element that the data is in.
    return page.replace("__DATA__", json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))
