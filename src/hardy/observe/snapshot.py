"""Everything that hardy's programs on this machine do now, as far as this user may see it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from hardy._core import runtime, tracer
from hardy._sync.named import named_lock_prefix
from hardy._sync.waiting import Wait, object_title
from hardy.errors import ending_text
from hardy.observe import kernel
from hardy.observe.memory import Memory, Reader

__all__ = ["Dead", "Desk", "Pool", "Process", "Program", "Shared", "Snapshot", "Watcher"]


@dataclass
class Process:
    """One process of a program.

    Attributes:
        pid: its process id.
        identity: pid and start time in one integer.
        name: as its parent named it; of a program's first process, what it runs.
        parent: pid of the process that started it; 0: none of hardy's did.
        state: "running", "sleeping" (outside of hardy), "waiting" (in hardy), "stopped", "zombie".
        waits: the threads of it that wait in hardy, the main thread first.
        is_daemon, outlives: as it was started.
        restarts: how many processes had its place in a supervisor before it.
        tasks: how many a worker of a pool has done; None elsewhere.
        cpu_s, rss_bytes, started_s: processor time, memory, when it began (seconds since the epoch).
        trouble: what is wrong with it, and what to do; "" when nothing is.
    """

    pid: int
    identity: int
    name: str
    parent: int
    state: str
    waits: list[Wait] = field(default_factory=list)
    is_daemon: bool = False
    outlives: bool = False
    restarts: int = 0
    tasks: int | None = None
    cpu_s: float = 0.0
    rss_bytes: int = 0
    threads: int = 0
    started_s: float = 0.0
    trouble: str = ""


@dataclass
class Dead:
    """A process that has ended, of a program that goes on.

    Attributes:
        identity, name: as of a `Process`.
        ending: how, as in "SIGKILL" or "exit 0".
        pids: the program's processes that live.
    """

    identity: int
    name: str
    ending: str
    pids: set[int]


@dataclass
class Shared:
    """A queue, or a lock or its like.

    Attributes:
        kind: "Lock", "Queue", ...
        title: what reports call it.
        segment, place: where it lies, as in a wait.
        facts: what is known of it; see `hardy._core.look`.
        waits: the threads that wait for it.
        pids: the processes that have its memory open.
    """

    kind: str
    title: str
    segment: int
    place: int
    facts: dict[str, Any]
    waits: list[Wait] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)


@dataclass
class Desk:
    """What a worker of a pool has in hand.

    Attributes:
        pid, identity: the worker.
        state: "idle", "taken" (a task that it has not begun), "running".
        task, item: which task of the pool, and which of its items.
        function: what that calls; "" when it does not run.
        began_ns: when that began, monotonic.
        reported: how far the task is by its own count, and of how much; (0, 0) when it does not say.
        ended: how many tasks this worker has dealt with.
    """

    pid: int
    identity: int
    state: str
    task: int
    item: int
    function: str
    began_ns: int
    reported: tuple[int, int]
    ended: int


@dataclass
class Pool:
    """A pool. Its calls: what was submitted, and each item of a map.

    Attributes:
        title: what reports call it.
        inode: of its memory.
        maker: pid of the process that made it.
        pids: the processes that have its memory open.
        queued: calls that were given to it and are not begun.
        running: how many workers are at one.
        done, failed: calls that returned; that raised or were lost. What was cancelled is in neither.
        desks: a worker each.
    """

    title: str
    inode: int
    maker: int
    pids: list[int]
    queued: int
    running: int
    done: int
    failed: int
    desks: list[Desk]


@dataclass
class Program:
    """A tree of processes that belong together.

    Attributes:
        root: pid of its first process, or of the oldest that is left.
        processes: parents before their children.
    """

    root: int
    processes: list[Process]


@dataclass
class Snapshot:
    """All programs, and what they share.

    Attributes:
        taken_ns: when, monotonic.
        programs: the oldest first.
        shared: queues, locks and their like.
        notes: what could not be read, and why.
        names: of all processes that are known by one, the dead too, by identity.
        pools: the pools that have workers.
        dead: who has ended, the oldest first, as far as the board has room for them.
    """

    taken_ns: int
    programs: list[Program]
    shared: list[Shared]
    notes: list[str]
    names: dict[int, str]
    pools: list[Pool] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)

    def process(self, pid: int) -> Process | None:
        """The process of that pid."""
        return next((each for program in self.programs for each in program.processes if each.pid == pid), None)

    def programs_of(self, pids: set[int] | None) -> list[Program]:
        """The programs that those processes belong to; None: all."""
        return [
            each for each in self.programs if pids is None or any(process.pid in pids for process in each.processes)
        ]

    def program_of(self, pid: int) -> Program | None:
        """The program that a process belongs to."""
        return next((each for each in self.programs if any(other.pid == pid for other in each.processes)), None)

    def name_of(self, identity: int) -> str:
        """A process for a sentence, living or not."""
        pid = runtime.pid_of(identity)
        name = self.names.get(identity)
        return f"{name!r} (pid {pid})" if name else f"process {pid}"

    def wait_text(self, wait: Wait) -> str:
        """What a thread waits for, with what is known of it only from here: the class of a queue, a process's name."""
        if wait.kind == "process":
            return f"{wait.verb} {self.name_of(wait.place)}"
        shared = self.shared_at(wait.segment, wait.place)
        return f"{wait.verb} {shared.title if shared else wait.title}"

    def shared_at(self, segment: int, place: int) -> Shared | None:
        """The object at a place."""
        return next((each for each in self.shared if each.segment == segment and each.place == place), None)


class Watcher:
    """Takes snapshots, and keeps the memory mapped in between."""

    def __init__(self) -> None:
        self._reader = Reader()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give all mappings back."""
        self._reader.close()

    def take(self) -> Snapshot:
        """What all programs do now."""
        locks = kernel.named_locks(named_lock_prefix())
        opened = {pid: found for pid in kernel.pids() if any(found := kernel.opened_by(pid, locks))}
        memfds = {pid: found.memfds for pid, found in opened.items()}
        memories = self._reader.read([each for found in memfds.values() for each in found])
        boards = {inode: memory for inode, memory in memories.items() if memory.kind == "board"}
        # The waits before the objects: who is said to hold a lock that is waited for then holds it, or did since.
        waits = [Wait.of(row) for board in boards.values() for row in board.waits()]
        waits = [each for each in waits if runtime.is_alive(each.identity)]
        rows = {inode: board.rows() for inode, board in boards.items()}
        programs = _programs(memfds, rows)
        names = {row["identity"]: row["name"] for found in rows.values() for row in found}
        names |= {each.identity: each.name for program in programs for each in program.processes}
        shared = _shared(memories, memfds) + _held_named_locks(opened)
        snapshot = Snapshot(time.monotonic_ns(), programs, shared, list(self._reader.notes), names)
        _add_waits(snapshot, waits)
        _add_pools(snapshot, memories, memfds)
        snapshot.dead = [each for found in rows.values() for each in _dead(found)]
        return snapshot


def _programs(memfds: dict[int, list[kernel.Memfd]], rows: dict[int, list[dict[str, Any]]]) -> list[Program]:
    stats = {stat.pid: stat for pid in kernel.pids() if (stat := kernel.read_stat(pid)) is not None}
    known: dict[int, dict[str, Any]] = {}
    board_of: dict[int, int] = {}
    for inode, found in rows.items():
        for row in found:
            pid = runtime.pid_of(row["identity"])
            stat = stats.get(pid)
            if stat is not None and _identity(stat) == row["identity"]:
                known[pid] = row
                board_of[pid] = inode
    members = {pid for pid in memfds if pid in stats} | {pid for pid in known if stats[pid].state == "Z"}
    # A child that hardy did not start has its parent's memory open all the same.
    members |= {each.pid for each in stats.values() if each.state == "Z" and each.ppid in members}
    processes = {pid: _process(stats[pid], known.get(pid), stats, members) for pid in members}
    groups: dict[int, list[Process]] = {}
    for pid in sorted(members, key=lambda pid: (stats[pid].start_ticks, pid)):
        groups.setdefault(_root(pid, processes), []).append(processes[pid])
    return [Program(root, _in_tree_order(root, group)) for root, group in groups.items()]


def _dead(rows: list[dict[str, Any]]) -> list[Dead]:
    pids = {runtime.pid_of(row["identity"]) for row in rows if not row["has_ended"]}
    return [
        Dead(row["identity"], row["name"], ending_text(os.waitstatus_to_exitcode(row["status"])), pids)
        for row in rows
        if row["status"] is not None
    ]


def _identity(stat: kernel.Stat) -> int:
    return stat.pid & 0x3FFFFF | stat.start_ticks << 22


def _process(
    stat: kernel.Stat, row: dict[str, Any] | None, stats: dict[int, kernel.Stat], members: set[int]
) -> Process:
    states = {"R": "running", "Z": "zombie", "X": "zombie", "T": "stopped", "t": "stopped"}
    name = row["name"] if row is not None else ""
    if row is None or row["parent"] == 0:
        name = _what_it_runs(stat.pid) or name
    parent = runtime.pid_of(row["parent"]) if row is not None and row["parent"] else 0
    if row is None and stat.ppid in members:
        parent = stat.ppid
    process = Process(
        pid=stat.pid,
        identity=_identity(stat),
        name=name or f"process {stat.pid}",
        parent=parent,
        state=states.get(stat.state, "sleeping"),
        is_daemon=row is not None and row["daemon"],
        outlives=row is not None and row["outlives"],
        restarts=row["restarts"] if row is not None else 0,
        cpu_s=stat.cpu_s,
        rss_bytes=stat.rss_bytes,
        threads=stat.threads,
        started_s=_boot_s() + stat.start_ticks / os.sysconf("SC_CLK_TCK"),
    )
    process.trouble = _trouble(process, stat, row, stats)
    return process


def _boot_s() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _what_it_runs(pid: int) -> str:
    """The script or module of a Python process, else its command."""
    words = kernel.read_command(pid)
    for at, word in enumerate(words[1:], 1):
        if word in ("-m", "-c") and at + 1 < len(words):
            return f"python {word} {words[at + 1]}"[:60]
        if not word.startswith("-"):
            return os.path.basename(word)
    return os.path.basename(words[0]) if words else ""


def _trouble(process: Process, stat: kernel.Stat, row: dict[str, Any] | None, stats: dict[int, kernel.Stat]) -> str:
    if process.state == "zombie":
        return _zombie(stat, stats)
    if row is None or not row["parent"] or runtime.is_alive(row["parent"]):
        return ""
    parent = runtime.pid_of(row["parent"])
    if process.outlives:
        return f"orphan: its parent {parent} has ended, and it was started with outlive_parent=True; kill it to end it"
    if process.state == "stopped":
        return (
            f"orphan: its parent {parent} has ended, and a stopped process cannot end itself; `kill -CONT {stat.pid}` "
            f"lets it end, `kill -9 {stat.pid}` ends it"
        )
    return f"orphan: its parent {parent} has ended, and it ends within a second; if it stays, `kill -9 {stat.pid}`"


def _zombie(stat: kernel.Stat, stats: dict[int, kernel.Stat]) -> str:
    parent = stats.get(stat.ppid)
    if parent is not None and parent.state in "Tt":
        why = f"its parent {stat.ppid} is stopped; `kill -CONT {stat.ppid}` lets it collect it"
    else:
        why = (
            f"its parent {stat.ppid} has not collected it; a process that hardy started is collected at once, one that "
            "a bare os.fork() made needs os.waitpid() there"
        )
    return f"zombie: it has ended and uses no memory or processor, only its pid; {why}"


def _root(pid: int, processes: dict[int, Process]) -> int:
    seen = {pid}
    while (parent := processes[pid].parent) in processes and parent not in seen:
        seen.add(parent)
        pid = parent
    return pid


def _in_tree_order(root: int, group: list[Process]) -> list[Process]:
    below: dict[int, list[Process]] = {}
    for each in group:
        if each.pid != root:
            below.setdefault(each.parent, []).append(each)
    ordered = []
    stack = [each for each in group if each.pid == root]
    while stack:
        ordered.append(stack.pop())
        stack += reversed(below.pop(ordered[-1].pid, []))
    return ordered


def _shared(memories: dict[int, Memory], memfds: dict[int, list[kernel.Memfd]]) -> list[Shared]:
    holders: dict[int, list[int]] = {}
    for pid, found in memfds.items():
        for each in found:
            holders.setdefault(each.inode, []).append(pid)
    shared = []
    for inode, memory in memories.items():
        if memory.kind not in ("slab", "ring"):
            continue
        read = memory.read()
        for facts in read if memory.kind == "slab" else [read]:
            label = facts["label"]
            if label["number"]:  # else it is only just being made, or its memory was given back
                kind = facts.pop("kind") or "Queue"
                pids = sorted(holders[inode])
                place = facts.get("place", 0)
                shared.append(Shared(kind, object_title(kind, label), memory.number, place, facts, [], pids))
    return shared


def _held_named_locks(opened: dict[int, kernel.Opened]) -> list[Shared]:
    """They lie in no memory of hardy's: each is a socket of the process that holds it."""
    found: dict[str, Shared] = {}
    for pid, each in opened.items():
        for key in each.named_locks:
            holder = runtime.identity_of(pid)
            if not holder:
                continue  # it has ended meanwhile
            label = {"text": key, "is_named": True, "number": 1}
            facts = {"label": label, "place": 0, "holder": holder, "holder_thread": 0, "how": 0}
            title = object_title("NamedLock", label)
            made = found.setdefault(key, Shared("NamedLock", title, tracer.number_of(key), 0, facts))
            # A child that C code forked has it open too; the lock was taken by the older of the two.
            made.facts["holder"] = min(holder, made.facts["holder"])
            made.pids.append(pid)
    return list(found.values())


def _add_waits(snapshot: Snapshot, waits: list[Wait]) -> None:
    processes = {each.identity: each for program in snapshot.programs for each in program.processes}
    objects = {(each.segment, each.place): each for each in snapshot.shared}
    for wait in waits:
        process = processes.get(wait.identity)
        if process is not None:
            process.waits.append(wait)
            known = objects.get((wait.segment, 0)) if wait.kind == "NamedLock" else None
            if known is not None:
                known.title = wait.title  # the kernel has a long name as a digest alone
            elif wait.kind == "NamedLock":
                # Its holder is another's, or lives in another network namespace: known by those who wait for it.
                facts = {"label": wait.label, "place": 0, "holder": wait.holder, "holder_thread": 0, "how": 0}
                objects[wait.segment, 0] = Shared(wait.kind, wait.title, wait.segment, 0, facts)
                snapshot.shared.append(objects[wait.segment, 0])
            if (wait.segment, wait.place) in objects:
                if wait.kind == "NamedLock" and wait.pid not in objects[wait.segment, 0].pids:
                    objects[wait.segment, 0].pids.append(wait.pid)
                objects[wait.segment, wait.place].waits.append(wait)
    for process in processes.values():
        process.waits.sort(key=lambda wait: (wait.tid != wait.pid, wait.since_ns))
        if process.state in ("running", "sleeping") and process.waits and process.waits[0].tid == process.pid:
            process.state = "waiting"


def _add_pools(snapshot: Snapshot, memories: dict[int, Memory], memfds: dict[int, list[kernel.Memfd]]) -> None:
    processes = {each.identity: each for program in snapshot.programs for each in program.processes}
    for inode, memory in memories.items():
        said = memory.read() if memory.kind == "pool" else None
        if said is None:
            continue
        desks = [
            Desk(pid=runtime.pid_of(worker), identity=worker, **desk)
            for desk in said["desks"]
            if (worker := desk.pop("worker")) in processes
        ]
        for each in desks:
            processes[each.identity].tasks = each.ended
        running = sum(each.state == "running" for each in desks)
        snapshot.pools.append(
            Pool(
                title=object_title(said["kind"], said["label"]),
                inode=inode,
                maker=runtime.pid_of(said["maker"]),
                pids=sorted(pid for pid, found in memfds.items() if any(each.inode == inode for each in found)),
                queued=max(said["open"] - running, 0),
                running=running,
                done=said["done"],
                failed=said["failed"],
                desks=desks,
            )
        )
