"""Why is it stuck? What is wrong with a program, and for each thing the mend in one sentence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hardy._core import runtime
from hardy._sync.deadlock import is_holders_own
from hardy._sync.waiting import TAKEN_WITH, Wait
from hardy.observe.kernel import count_threads
from hardy.observe.snapshot import Process, Program, Shared, Snapshot, Watcher
from hardy.observe.text import duration_text, holder_text

__all__ = ["Finding", "Report", "examine", "report_text"]

# Between two looks: what has not moved meanwhile is taken for stuck.
_BETWEEN_S = 0.3
_LONG_S = 5.0
_MOST_NAMED = 4
_MAY_NOT_TRACE = (
    "The system does not let this user trace it: run hardy as root or as that process's user, in a container with "
    "--cap-add SYS_PTRACE, and with kernel.yama.ptrace_scope at 0."
)


@dataclass
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: in a word, as in "deadlock".
        text: what is the case.
        mend: what to do, in one sentence.
    """

    kind: str
    text: str
    mend: str


@dataclass
class Report:
    """What was found of one program.

    Attributes:
        program: the processes.
        waits: what each thread waits for, with for how long and for whom.
        findings: what is wrong, the worst first.
        stacks: where threads are, by what they are called.
    """

    program: Program
    waits: list[str]
    findings: list[Finding]
    stacks: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """In plain values, for JSON."""
        return {
            "root": self.program.root,
            "waits": self.waits,
            "findings": [vars(each) for each in self.findings],
            "stacks": self.stacks,
        }


def examine(pid: int) -> Report | None:
    """Look twice at the program of a process, and say what is wrong with it.

    Args:
        pid: any of its processes.

    Returns:
        None when hardy knows of no such process.
    """
    with Watcher() as watcher:
        before = watcher.take()
        if before.program_of(pid) is None:
            return None
        time.sleep(_BETWEEN_S)
        now = watcher.take()
    program = now.program_of(pid)
    return None if program is None else _Doctor(before, now, program).report()


class _Doctor:
    def __init__(self, before: Snapshot, now: Snapshot, program: Program) -> None:
        self.before, self.now, self.program = before, now, program
        pids = {each.pid for each in program.processes}
        self.shared = [each for each in now.shared if pids & set(each.pids)]
        earlier = {(wait.row, wait.turn) for process in _all(before) for wait in process.waits}
        # A wait that ended meanwhile was none to speak of.
        self.waits = [wait for each in program.processes for wait in each.waits if (wait.row, wait.turn) in earlier]

    def report(self) -> Report:
        circles = self._circles()
        findings = [
            *map(self._deadlock, circles),
            *self._stopped(),
            *self._busy_holders(),
            *self._semaphores(),
            *self._queues(),
            *(
                Finding(each.trouble.partition(":")[0], _of(each), each.trouble.partition("; ")[2])
                for each in self.program.processes
                if each.trouble
            ),
        ]
        findings = findings or self._all_wait()
        return Report(self.program, [self._line(each) for each in self.waits], findings, self._stacks())

    def _line(self, wait: Wait) -> str:
        holder = holder_text(self.now, wait)
        taken = (", taken by `with`" if wait.how & TAKEN_WITH else ", taken by acquire()") if holder else ""
        timed = " (with a time-out)" if wait.is_timed else ""
        return f"{self._who(wait)}: {self.now.wait_text(wait)}, {self._age(wait)}{timed}" + (
            f"; {holder}{taken}" if holder else ""
        )

    def _who(self, wait: Wait) -> str:
        who = self.now.name_of(wait.identity)
        return who if wait.tid == wait.pid else f"thread {wait.tid} of {who}"

    def _does(self, wait: Wait) -> str:
        """As in "waits to acquire Lock 'a'" and "waits at Barrier 'gate' (2 of 3 are there)"."""
        text, shared = self.now.wait_text(wait), self.now.shared_at(wait.segment, wait.place)
        there = (
            f" ({shared.facts['value']} of {shared.facts['bound']} are there)"
            if wait.kind == "Barrier" and shared
            else ""
        )
        return (
            f"waits{text.removeprefix('wait') if text.startswith('wait ') else f' to {text}'}{there}, {self._age(wait)}"
        )

    def _age(self, wait: Wait) -> str:
        return f"for {duration_text((self.now.taken_ns - wait.since_ns) / 1e9)}"

    # ---- the wait-for graph ----

    def _blockers(self, wait: Wait) -> list[Wait]:
        """The waits of those for whom a thread waits."""
        if wait.kind in ("Lock", "RLock") and wait.holder_thread:
            wanted = (wait.holder, wait.holder_thread)
            # It held when it was seen to; only one that has waited since before then holds still.
            return [
                each for each in self.waits if (each.identity, each.thread) == wanted and each.since_ns < wait.seen_ns
            ]
        identities = {"process": {wait.place}, "NamedLock": {wait.holder}}.get(wait.kind, set())
        shared = self.now.shared_at(wait.segment, wait.place)
        if shared is not None and shared.kind == "RWLock":
            identities = {identity for identity, _ in shared.facts["holders"]} | {shared.facts["holder"]}
        elif shared is not None and "Semaphore" in shared.kind and not shared.facts["value"]:
            # Any of several holders may give a permit back: only a sole one surely keeps the waiter.
            holders = shared.facts["holders"]
            identities = {holders[0][0]} if len(holders) == 1 else set()
        return [each for each in self.waits if each.identity in identities and each.tid == each.pid]

    def _circles(self) -> list[list[Wait]]:
        found: list[list[Wait]] = []
        for wait in self.waits:
            path = _way_back(wait, self._blockers)
            if path and not any(set(map(_id, path)) == set(map(_id, each)) for each in found):
                found.append(path)
        return found

    def _deadlock(self, circle: list[Wait]) -> Finding:
        lines = [f"{self._who(each)} {self._does(each)}" for each in circle]
        certain = all(is_holders_own(each) or each.kind == "process" for each in circle)
        if any(each.is_timed for each in circle):
            mend = "one of them waits with a time-out and will give up; take locks in the same order everywhere."
        elif certain:
            mend = "take locks in the same order everywhere; to go on now, kill one of them."
        else:
            mend = (
                "if nobody else releases what they wait for, take these in the same order everywhere, and by `with`; "
                "to go on now, kill one of them."
            )
        kind = "deadlock" if certain else "circle"
        if len(circle) == 1:
            mend = "use an RLock, or do not take it where it is held already; to go on now, kill it."
            mend = mend if certain else f"if nobody else releases it, {mend}"
            return Finding(kind, f"{lines[0]}, which it holds itself", mend)
        return Finding(kind, f"they wait for each other: {'; '.join(lines)}; and so round", mend)

    # ---- what keeps others waiting ----

    def _stopped(self) -> list[Finding]:
        found = []
        for process in self.program.processes:
            if process.state == "stopped":
                kept = sum(each.holder == process.identity for each in self.waits)
                also = f", and {_waits(kept)} for locks that it holds" if kept else ""
                found.append(Finding("stopped", f"{_of(process)} is stopped{also}", f"kill -CONT {process.pid}"))
        return found

    def _busy_holders(self) -> list[Finding]:
        found = []
        waiting = {(each.identity, each.thread) for each in self.waits}
        for shared in self.shared:
            holder = shared.facts.get("holder")
            longest = max((self.now.taken_ns - each.since_ns for each in shared.waits), default=0) / 1e9
            if (
                not holder
                or not shared.waits
                or longest < _LONG_S
                or (holder, shared.facts["holder_thread"]) in waiting
            ):
                continue
            process = next((each for each in self.program.processes if each.identity == holder), None)
            if process is None or process.state == "stopped":
                continue
            if process.state == "waiting" and not shared.facts["holder_thread"]:
                continue  # which thread of it holds a named lock is not known
            doing = "is on the processor" if process.state == "running" else "waits for something that is not hardy's"
            found.append(
                Finding(
                    "held",
                    f"{shared.title} is held by {_of(process)}, which {doing}; {_waits(len(shared.waits))} for it, the "
                    f"longest for {duration_text(longest)}",
                    "hold it for less, or let waiters give up with acquire(timeout=...)",
                )
            )
        return found

    def _semaphores(self) -> list[Finding]:
        found = []
        for shared in self.shared:
            if "Semaphore" not in shared.kind or shared.facts["value"] or not shared.waits:
                continue
            holders, bound = shared.facts["holders"], shared.facts["bound"]
            lost = bound - sum(count for _, count in holders) if bound else None
            may_be_lost = lost or (lost is None and not holders)
            dead = self._who_ended() if may_be_lost else ""
            longest = max(self.now.taken_ns - each.since_ns for each in shared.waits) / 1e9
            # In use, or a signal that has yet to be given: that is as it should be, for a while.
            if not lost and not dead and longest < _LONG_S:
                continue
            living = ", ".join(f"{self.now.name_of(each)} has {count}" for each, count in holders) or "none by `with`"
            text = f"{shared.title} has no permit left, {_waits(len(shared.waits))}: {living}"
            if lost:
                text += f"; {lost} {'was' if lost == 1 else 'were'} taken by a bare acquire()"
            if dead:
                text += f"; who takes by a bare acquire() is not recorded: of those who have ended it may be {dead}"
                mend = (
                    "a bare acquire() does not come back when its taker dies: take permits by `with`, and give back "
                    "what is missing by release()"
                )
            elif may_be_lost:
                text += "; who takes by a bare acquire() is not recorded, and nobody has ended: it is one that lives"
                mend = "whoever took a permit, or is to give one as a signal, must release(); take permits by `with`"
            else:
                mend = "it is in use: give it more permits, or hold them for less"
            found.append(Finding("semaphore", text, mend))
        return found

    def _who_ended(self) -> str:
        """Processes of this program that have ended, those that were killed and the latest first; "" when none has."""
        pids = {each.pid for each in self.program.processes}
        dead = [each for each in reversed(self.now.dead) if pids & each.pids]
        dead.sort(key=lambda each: each.ending.startswith("exit"))
        named = [f"{each.name!r} (pid {runtime.pid_of(each.identity)}, {each.ending})" for each in dead[:_MOST_NAMED]]
        more = [f"{len(dead) - _MOST_NAMED} more"] if len(dead) > _MOST_NAMED else []
        return " or ".join(named + more)

    def _queues(self) -> list[Finding]:
        found = []
        for shared in self.shared:
            if "count" not in shared.facts:
                continue
            earlier = self.before.shared_at(shared.segment, shared.place)
            if earlier is None or earlier.facts["got"] != shared.facts["got"]:
                continue
            getters = [each for each in shared.waits if each.verb == "get from"]
            others = [each for each in shared.waits if each.verb != "get from"]
            count = shared.facts["count"]
            if count and not getters and (others or not shared.facts["got"]):
                found.append(self._unread(shared, count, others))
            elif getters and not count and self._nobody_will_put(shared, getters):
                found.append(
                    Finding(
                        "unfed",
                        f"{shared.title} is empty, {_waits(len(getters))} to get from it, and everyone else who has it "
                        "waits too",
                        "say when there is no more: close() it in every process that puts, or put one None a reader",
                    )
                )
        return found

    def _unread(self, shared: Shared, count: int, others: list[Wait]) -> Finding:
        waits = f", and {_waits(len(others))} for somebody to take them" if others else ""
        taken = "none was ever taken" if not shared.facts["got"] else "none is being taken"
        return Finding(
            "unread",
            f"{shared.title} holds {count} object(s), {taken}{waits}",
            "start a reader, or let the readers go on: nobody waits to get from it",
        )

    def _nobody_will_put(self, shared: Shared, getters: list[Wait]) -> bool:
        return all(map(self._waits_for_good, shared.pids)) and any(each.pid in shared.pids for each in getters)

    def _waits_for_good(self, pid: int) -> bool:
        """Whether all threads of a process wait in hardy, none with a time-out: by itself it does nothing any more."""
        waiting = sum(each.pid == pid and not each.is_timed for each in self.waits)
        return 0 < count_threads(pid) <= waiting

    def _all_wait(self) -> list[Finding]:
        """Of a program in which nothing else is wrong, and nobody is left who could go on."""
        living = [each for each in self.program.processes if each.state != "zombie"]
        names = {each.identity for each in living}
        inside = all(each.kind != "NamedLock" or each.holder in names for each in self.waits)
        if not living or not inside or not all(self._waits_for_good(each.pid) for each in living):
            return []
        roots = [each for each in self.waits if each.kind != "process"] or self.waits
        lines = "; ".join(f"{self._who(each)} {self._does(each)}" for each in roots)
        mend = "whoever is to wake them must do so before it waits or ends itself; or wait with a time-out"
        return [Finding("stuck", f"every thread of every process waits, none with a time-out: {lines}", mend)]

    # ---- stacks ----

    def _stacks(self) -> dict[str, str]:
        stacks = {self._who(each): each.stack for each in self.waits if each.stack}
        holders = {each.holder for each in self.waits if each.holder}
        for process in self.program.processes:
            if process.identity in holders and not process.waits and process.state != "zombie":
                stacks[f"{_of(process)}, which holds what others wait for"] = stack_from_outside(process.pid)
        return stacks


def stack_from_outside(pid: int) -> str:
    """The stacks of a process that does not wait in hardy, by py-spy where it is installed; else how to get them."""
    beside = os.path.join(os.path.dirname(sys.executable), "py-spy")
    tool = beside if os.path.exists(beside) else shutil.which("py-spy")
    if tool is None:
        return "  (not known from here: `pip install hardy[stacks]` brings py-spy, which reads it)\n"
    # With the frames of C code where it can read them: not on every processor.
    for how in (("--native",), ()):
        try:
            done = subprocess.run([tool, "dump", *how, "--pid", str(pid)], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired) as error:
            said = f"(py-spy failed: {error})"
            continue
        if done.returncode == 0:
            said = done.stdout
            break
        said = f"(py-spy could not read it: {done.stderr.strip()})"
        if "ermi" in said:  # "Permission", "not permitted"
            said += f"\n{_MAY_NOT_TRACE}"
            break
    return "".join(f"  {line}\n".rstrip(" ") for line in said.splitlines())


def _way_back(start: Wait, blockers: Callable[[Wait], list[Wait]]) -> list[Wait]:
    """A way along the graph from `start` back to itself, or []."""
    came_from: dict[tuple[int, int], Wait | None] = {_id(start): None}
    todo = [start]
    for at in todo:
        for each in blockers(at):
            if _id(each) == _id(start):
                path = []
                back: Wait | None = at
                while back is not None:
                    path.append(back)
                    back = came_from[_id(back)]
                return path[::-1]
            if _id(each) not in came_from:
                came_from[_id(each)] = at
                todo.append(each)
    return []


def _waits(count: int) -> str:
    return f"{count} waits" if count == 1 else f"{count} wait"


def _id(wait: Wait) -> tuple[int, int]:
    return wait.row, wait.turn


def _all(snapshot: Snapshot) -> list[Process]:
    return [each for program in snapshot.programs for each in program.processes]


def _of(process: Process) -> str:
    return f"{process.name!r} (pid {process.pid})"


def report_text(report: Report) -> str:
    """A report as people read it."""
    program = report.program
    lines = [f"{_of(program.processes[0])}: {len(program.processes)} process(es), {len(report.waits)} thread(s) wait."]
    if report.waits:
        lines += ["", "Who waits"]
        lines += [f"  {each}" for each in report.waits]
    lines += ["", "What is wrong" if report.findings else "Nothing wrong was found."]
    for number, each in enumerate(report.findings, 1):
        lines += [f"  {number}. {each.kind}: {each.text}", f"     Mend: {each.mend}"]
    if report.stacks:
        lines += ["", "Where they are"]
        for who, stack in report.stacks.items():
            lines += [f"  {who}", stack.rstrip()]
    return "\n".join(lines)
