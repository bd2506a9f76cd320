"""The lines of the tables of `hardy top`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hardy.observe.rates import History
from hardy.observe.snapshot import Desk, Pool, Process, Program, Shared, Snapshot
from hardy.observe.text import bytes_text, duration_text, state_text

__all__ = ["TABLES", "Row"]


class Row(NamedTuple):
    """A line.

    Attributes:
        key: the same for the same thing in the next snapshot.
        cells: what is shown.
        values: what it is sorted by, a value a cell.
        pid: of the process that it is about, or None.
    """

    key: str
    cells: tuple[str, ...]
    values: tuple[float | str, ...]
    pid: int | None = None

    def sort_key(self, column: int) -> tuple[bool, float, str]:
        """Numbers before texts."""
        value = self.values[column]
        return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _processes(snapshot: Snapshot, history: History, programs: list[Program]) -> list[Row]:
    rows = []
    for program in programs:
        depth = {0: -1}
        for each in program.processes:
            depth[each.pid] = depth.get(each.parent, -1) + 1
            rows.append(_process(snapshot, history, each, depth[each.pid]))
    return rows


def _process(snapshot: Snapshot, history: History, process: Process, depth: int) -> Row:
    load = history.load(process)
    state = state_text(snapshot, process)
    tasks = process.tasks
    return Row(
        str(process.identity),
        (
            str(process.pid),
            "  " * (depth - 1) + ("└ " if depth else "") + process.name,
            "" if load is None else f"{load:.0%}",
            bytes_text(process.rss_bytes),
            "yes" if process.is_daemon else "",
            str(process.restarts or ""),
            "" if tasks is None else str(tasks),
            process.trouble or state,
        ),
        (
            process.pid,
            process.name,
            load or 0.0,
            process.rss_bytes,
            process.is_daemon,
            process.restarts,
            -1 if tasks is None else tasks,
            process.trouble or state,
        ),
        process.pid,
    )


def _ours(shared: Shared, programs: list[Program]) -> bool:
    return any(each.pid in shared.pids for program in programs for each in program.processes)


def _longest(snapshot: Snapshot, shared: Shared) -> float:
    return max((snapshot.taken_ns - each.since_ns for each in shared.waits), default=0) / 1e9


def _queues(snapshot: Snapshot, history: History, programs: list[Program]) -> list[Row]:
    rows = []
    for each in snapshot.shared:
        if "count" not in each.facts or not _ours(each, programs):
            continue
        facts, rate = each.facts, history.queue(each)
        putters = sum(wait.verb == "put into" for wait in each.waits)
        getters = sum(wait.verb == "get from" for wait in each.waits)
        bound = f" of {facts['maxsize']}" if facts["maxsize"] else ""
        age = "" if rate.oldest_s is None else ("> " if rate.is_at_least else "") + duration_text(rate.oldest_s)
        cells = (
            each.title,
            f"{facts['count']}{bound}",
            bytes_text(facts["nbytes"]),
            f"{rate.put_per_s:.0f}",
            f"{rate.got_per_s:.0f}",
            age,
            str(putters),
            str(getters),
        )
        values = (
            each.title,
            facts["count"],
            facts["nbytes"],
            rate.put_per_s,
            rate.got_per_s,
            rate.oldest_s or 0.0,
            putters,
            getters,
        )
        rows.append(Row(f"{each.segment}+{each.place}", cells, values))
    return rows


def _locks(snapshot: Snapshot, history: History, programs: list[Program]) -> list[Row]:
    rows = []
    for each in snapshot.shared:
        if "count" in each.facts or not _ours(each, programs):
            continue
        longest = _longest(snapshot, each)
        held, state = _held(snapshot, each), _state(each)
        cells = (each.title, state, held, str(len(each.waits)), duration_text(longest) if each.waits else "")
        rows.append(Row(f"{each.segment}+{each.place}", cells, (each.title, state, held, len(each.waits), longest)))
    # What somebody waits for comes first, then what somebody holds.
    rows.sort(key=lambda row: (-float(row.values[3]), not row.cells[2], row.cells[0]))
    return rows


def _held(snapshot: Snapshot, shared: Shared) -> str:
    names = [snapshot.name_of(shared.facts["holder"])] if shared.facts.get("holder") else []
    names += [f"{snapshot.name_of(identity)} x {count}" for identity, count in shared.facts.get("holders", ())]
    return ", ".join(names)


def _state(shared: Shared) -> str:
    facts, kind = shared.facts, shared.kind
    if "Semaphore" in kind:
        return f"{facts['value']} free" + (f" of {facts['bound']}" if facts["bound"] else "")
    if kind == "Event":
        return "set" if facts["value"] else "not set"
    if kind == "Barrier":
        return "broken" if facts["is_broken"] else f"{facts['value']} of {facts['bound']} are there"
    if kind == "Condition":
        return f"{facts['value']} on its list"
    return "held" if facts.get("holder") or facts.get("holders") else "free"


def _pools(snapshot: Snapshot, history: History, programs: list[Program]) -> list[Row]:
    rows = []
    pids = {each.pid for program in programs for each in program.processes}
    for pool in snapshot.pools:
        if not pids & set(pool.pids):
            continue
        maker = snapshot.process(pool.maker)
        whole = f"{len(pool.desks)} workers of {maker.name if maker is not None else 'a process that has ended'}"
        counts = (pool.queued, pool.running, pool.done, pool.failed)
        cells = (pool.title, whole, str(pool.maker), "", "", "", *map(str, counts))
        rows.append(Row(f"pool {pool.inode}", cells, (pool.title, whole, pool.maker, "", 0.0, 0, *counts), pool.maker))
        rows += [row for desk in pool.desks if (row := _worker(snapshot, pool, desk)) is not None]
    return rows


def _worker(snapshot: Snapshot, pool: Pool, desk: Desk) -> Row | None:
    process = snapshot.process(desk.pid)
    if process is None:
        return None
    is_running = desk.state == "running"
    for_s = (snapshot.taken_ns - desk.began_ns) / 1e9 if is_running else 0.0
    doing = f"{desk.function or 'task'} #{desk.task}" if is_running else desk.state
    progress = f"{desk.reported[0]} of {desk.reported[1]}" if desk.reported[1] else ""
    cells = (
        pool.title,
        f"└ {process.name}",
        str(desk.pid),
        doing,
        duration_text(for_s) if is_running else "",
        progress,
        "",
        "",
        str(desk.ended),
        "",
    )
    values = (pool.title, process.name, desk.pid, doing, for_s, desk.reported[0], -1, -1, desk.ended, -1)
    return Row(f"pool {pool.inode} {desk.pid}", cells, values, desk.pid)


# Of each table: the columns, and what makes its lines.
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Snapshot, History, list[Program]], list[Row]]]] = {
    "processes": (("PID", "NAME", "CPU", "MEMORY", "DAEMON", "RESTARTS", "TASKS", "STATE"), _processes),
    "queues": (("QUEUE", "LENGTH", "SIZE", "IN/S", "OUT/S", "OLDEST", "PUTTERS WAIT", "GETTERS WAIT"), _queues),
    "locks": (("LOCK", "STATE", "HELD BY", "WAIT", "LONGEST"), _locks),
    "pools": (
        ("POOL", "WORKER", "PID", "RUNS", "FOR", "PROGRESS", "QUEUED", "RUNNING", "DONE", "FAILED"),
        _pools,
    ),
}
