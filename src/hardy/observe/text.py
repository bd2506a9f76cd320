"""Numbers and tables as people read them, and snapshots as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hardy._core import runtime
from hardy._sync.waiting import TAKEN_WITH, Wait
from hardy.observe.snapshot import Process, Shared, Snapshot

__all__ = ["bytes_text", "duration_text", "holder_text", "snapshot_dict", "state_text", "table"]


def duration_text(seconds: float) -> str:
    """As in `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, size, below, smaller in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {below}"
    return f"{whole} s"


def bytes_text(count: float) -> str:
    """As in `512 B`, `3.2 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def holder_text(snapshot: Snapshot, wait: Wait) -> str:
    """Who keeps a thread waiting, as far as one process does; else ""."""
    if not wait.holder:
        return ""
    if wait.holder == wait.identity and wait.holder_thread == wait.thread:
        return "held by this very thread"
    return f"held by {snapshot.name_of(wait.holder)}"


def state_text(snapshot: Snapshot, process: Process) -> str:
    """What a process does, in a few words."""
    if process.state != "waiting":
        others = f"; {len(process.waits)} of {process.threads} threads wait" if process.waits else ""
        return process.state + others
    wait = process.waits[0]
    holder = holder_text(snapshot, wait)
    text = f"waiting: {snapshot.wait_text(wait)}" + (f", {holder}" if holder else "")
    return f"{text}, for {duration_text((snapshot.taken_ns - wait.since_ns) / 1e9)}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns of text, each as wide as it must be.

    Args:
        header: the titles.
        rows: as many cells each.
        right: the columns that are set to the right.
    """
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def snapshot_dict(snapshot: Snapshot, pids: set[int] | None = None) -> dict[str, Any]:
    """A snapshot in plain values, for JSON.

    Args:
        snapshot: what to tell.
        pids: the processes to tell of; None: all.
    """
    chosen = snapshot.programs_of(pids)
    programs = [
        {"root": program.root, "processes": [_process(snapshot, each) for each in program.processes]}
        for program in chosen
    ]
    shown = {each.pid for program in chosen for each in program.processes}
    shared = [_shared(snapshot, each) for each in snapshot.shared if shown & set(each.pids)]
    pools = [asdict(each) for each in snapshot.pools if shown & set(each.pids)]
    return {"programs": programs, "shared": shared, "pools": pools, "notes": snapshot.notes}


def _process(snapshot: Snapshot, process: Process) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "name": process.name,
        "parent": process.parent or None,
        "state": process.state,
        "waits": [_wait(snapshot, each) for each in process.waits],
        "daemon": process.is_daemon,
        "outlives_parent": process.outlives,
        "restarts": process.restarts,
        "tasks_done": process.tasks,
        "cpu_s": round(process.cpu_s, 2),
        "memory_bytes": process.rss_bytes,
        "threads": process.threads,
        "started": round(process.started_s, 2),
        "trouble": process.trouble or None,
    }


def _wait(snapshot: Snapshot, wait: Wait) -> dict[str, Any]:
    shared = snapshot.shared_at(wait.segment, wait.place)
    holder = runtime.pid_of(wait.holder) if wait.holder else None
    return {
        "thread": wait.tid,
        "is_main_thread": wait.tid == wait.pid,
        "doing": snapshot.wait_text(wait),
        "kind": shared.kind if shared else wait.kind,
        "object": shared.title if shared else wait.title,
        "for_s": round((snapshot.taken_ns - wait.since_ns) / 1e9, 3),
        "has_timeout": wait.is_timed,
        "held_by": holder,
        "held_by_with": bool(wait.how & TAKEN_WITH) if holder else None,
        "stack": wait.stack or None,
    }


def _shared(snapshot: Snapshot, shared: Shared) -> dict[str, Any]:
    facts = {name: value for name, value in shared.facts.items() if name not in _INNER}
    holder = shared.facts.get("holder")
    if "holder" in shared.facts:
        facts["holder"] = runtime.pid_of(holder) if holder else None
    if "holders" in shared.facts:
        facts["holders"] = {runtime.pid_of(identity): count for identity, count in shared.facts["holders"]}
    if "users" in shared.facts:
        facts["users"] = [runtime.pid_of(identity) for identity, _put, _closed in shared.facts["users"]]
    waiting = [{"pid": each.pid, "thread": each.tid, "doing": each.verb} for each in shared.waits]
    return {"kind": shared.kind, "title": shared.title, **facts, "waiting": waiting, "open_in": shared.pids}


_INNER = ("label", "place", "holder_thread", "how", "holders", "holder", "users")
