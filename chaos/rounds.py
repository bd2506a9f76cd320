"""One round: a world, what is done to it, what is left, and the verdict."""

from __future__ import annotations

import bisect
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos import exclusion, fates, ledger, watch, world
from chaos import plan as plans
from chaos.kits import EMPTY_BYTES
from chaos.ledger import Ledger
from chaos.lock_seats import SUBJECTS as LOCKS
from chaos.plan import Plan, Step
from chaos.victims import Scope, Target, is_alive, stacks, tree_of
from chaos.world import DUMP, PRODUCERS, SEATS

RECORDS = 24_000
_READY_S = 30.0
# How often a victim is stopped and looked at until it is where an aimed kill wants it.
_AIM_TRIES = 60
_AIM_S = 0.25
NATIVE = {"hardy": "/hardy/_core/", "faster-fifo": "/faster_fifo"}


@dataclass(frozen=True)
class Kill:
    """A signal that ended a process.

    Attributes:
        at: when, monotonic nanoseconds.
        seat, incarnation: whom.
        critical: it was stopped before, and was seen to hold a guard, or to be inside what a lock guards.
    """

    at: int
    seat: int
    incarnation: int
    critical: bool = False


@dataclass
class Result:
    """What came of a round.

    Attributes:
        plan: the round.
        counts: all that the table shows, summed over rounds.
        wrong: a line for each bad thing; none when the round passed.
        noticed_s, recovered_s: latencies.
        dump: all stacks, when something hung.
        named: items in dead consumers' hands, and whose.
    """

    plan: Plan
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    noticed_s: list[float] = field(default_factory=list)
    recovered_s: list[float] = field(default_factory=list)
    orphan_s: list[float] = field(default_factory=list)
    slowest_s: float = 0.0
    dump: str = ""
    named: list[str] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0

    def say(self, kind: str, text: str) -> None:
        """A bad thing."""
        self.counts[kind] += 1
        self.wrong.append(f"{kind}: {text}")


class Round:
    """One round in the making."""

    def __init__(self, plan: Plan, hang_s: float) -> None:
        self.plan = plan
        self.result = Result(plan)
        self._hang_s = hang_s
        self._book = Ledger(SEATS + 1, RECORDS)
        self._scope = Scope(NATIVE.get(plan.kit, "/_multiprocessing"))
        self._kills: list[Kill] = []
        self._main_killed = fates.NEVER
        self._zombies = watch.Zombies()
        self._progress = watch.Progress(self._book, hang_s)
        self._output = tempfile.TemporaryFile(mode="w+", errors="replace")  # noqa: SIM115 (closed in run)

    def run(self) -> Result:
        """The verdict."""
        start, since, before = time.monotonic(), time.time(), watch.names()
        # Appending, so that the stacks of many processes stand one after the other.
        output = os.open(f"/proc/self/fd/{self._output.fileno()}", os.O_WRONLY | os.O_APPEND)
        place = f"/proc/{os.getpid()}/fd/{self._book.fd}"
        command = [sys.executable, "-m", "chaos.world", world.to_text(self.plan), place, str(SEATS + 1), str(RECORDS)]
        main = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        os.close(output)
        tree: list[int] = []
        try:
            drained = self._live(main)
            tree = tree_of(main.pid)
        finally:
            tree += [pid for pid in tree_of(main.pid) if pid not in tree]
            self._end(main, tree)
        for name in watch.names_left(before, since, main.pid):
            self.result.say("names left", name)
        self._judge(drained)
        self._output.close()
        self._book.close()
        self.result.seconds = time.monotonic() - start
        return self.result

    # -- while it lives

    def _live(self, main: subprocess.Popen[bytes]) -> bool:
        """Do the steps; whether the world then drained."""
        words = self._book.words
        self._until(lambda: words[ledger.WORLD_STATE] >= ledger.READY or main.poll() is not None, _READY_S)
        if words[ledger.WORLD_STATE] < ledger.READY:
            self._hang("the world did not start", main.pid)
            return False
        for self.result.step, step in enumerate(self.plan.steps, 1):  # noqa: B020
            if self._stops(main) or any(self._book.seat_word(seat, ledger.FULL) for seat in range(SEATS)):
                break
            self._do(step, main.pid)
            if self.result.step % 16 == 0:
                self._zombies.look(main.pid)
        if self.result.wrong or main.poll() is not None:
            return False
        if self.plan.kill_main:
            self._main_killed = time.monotonic_ns()
            kill_main(main, self.result)
            return False
        words[ledger.PHASE] = ledger.DRAINING
        while main.poll() is None and not self._stops(main):
            self._zombies.look(main.pid)
            time.sleep(0.02)
        return words[ledger.WORLD_STATE] == ledger.DRAINED

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.0002)
        return True

    def _stops(self, main: subprocess.Popen[bytes]) -> bool:
        """Whether the round cannot go on: it hangs, or a process said that something was wrong."""
        if self.result.wrong:
            return True
        if any(self._book.seat_word(seat, ledger.TEXT_BYTES) for seat in range(SEATS + 1)):
            return True
        if self._progress.has_stalled() and main.poll() is None:
            phase = "while it drained" if self._book.words[ledger.PHASE] else "while kills went on"
            self._hang(f"no process has moved for {self._hang_s:g} s {phase}", main.pid)
            return True
        return False

    def _target(self, seat: int, outer: bool) -> tuple[Target, int] | None:
        """The process in that seat, and which life of it; None when it is just dead."""
        which = ledger.OUTER_PID if outer and self.plan.nested else ledger.PID
        pid = self._book.seat_word(seat, which)
        incarnation = self._book.seat_word(seat, ledger.INCARNATION)
        if not pid:
            return None
        try:
            target = Target(pid)
        except OSError:
            return None
        # A pidfd of a newer process with that number would be somebody else's.
        if self._book.seat_word(seat, which) != pid or target.has_ended():
            target.close()
            return None
        return target, incarnation

    def _do(self, step: Step, main_pid: int) -> None:
        if self.plan.pace == plans.QUIET:
            self._wait_for_movement(step.patience_s)
        first = step.victims[0]
        until = self._book.seat_word(first, ledger.COUNT) + step.after_ops
        self._until(
            lambda: self._book.seat_word(first, ledger.COUNT) >= until,
            step.patience_s if self.plan.pace == plans.BUSY else 0.0,
        )
        if step.action in (plans.STOP, plans.STOP_KILL):
            self._stop(step)
            return
        if step.action == plans.AIMED:
            self._aim(step, main_pid)
            return
        found = [(seat, *target) for seat in step.victims if (target := self._target(seat, step.outer))]
        _spin_us(step.delay_us)
        number = signal.SIGTERM if step.action == plans.TERM else signal.SIGKILL
        for seat, victim, incarnation in found:
            self._kill(victim, seat, incarnation, number, step.outer)
            victim.close()

    def _kill(
        self, target: Target, seat: int, incarnation: int, number: int, outer: bool, critical: bool = False
    ) -> None:
        inner = self._book.seat_word(seat, ledger.PID) if outer and self.plan.nested else 0
        at = time.monotonic_ns()
        if not target.send(number):
            return
        self._kills.append(Kill(at, seat, incarnation, critical))
        self.result.counts["kills"] += 1
        self.result.counts["SIGTERM"] += number == signal.SIGTERM
        if inner and is_alive(inner):
            running, seconds = watch.wait_for_end([inner], watch.GRACE_S)
            self.result.orphan_s.append(seconds)
            for pid in running:
                self.result.say(
                    "orphans", f"process {pid} lives {watch.GRACE_S:g} s after its parent {target.pid} died"
                )
                self.result.dump += stacks(pid)

    def _wait_for_movement(self, timeout_s: float) -> None:
        """Until any seat begins something: nothing is quicker than to look at all of them again and again."""
        words, places = self._book.words, [self._book.at(seat, ledger.COUNT) for seat in range(SEATS)]
        before, end = [words[at] for at in places], time.monotonic() + timeout_s
        while [words[at] for at in places] == before and time.monotonic() < end:
            pass

    def _stop(self, step: Step) -> None:
        seat = step.victims[0]
        if (found := self._target(seat, False)) is None:
            return
        target, incarnation = found
        if target.stop():
            self.result.counts["stops"] += 1
            time.sleep(step.delay_us / 1e6)
            if step.action == plans.STOP_KILL:
                self._kill_stopped(target, seat, incarnation)
            else:
                target.send(signal.SIGCONT)
        target.close()

    def _kill_stopped(self, target: Target, seat: int, incarnation: int) -> None:
        """Kill a process that is stopped, and count where it was."""
        where = self._scope.look(target.pid)
        self.result.counts["kills looked at"] += 1
        self.result.counts["holding a guard"] += where.in_guard
        self.result.counts["in native code"] += where.in_core
        critical = where.in_guard or self._is_inside(seat, target.pid)
        self._kill(target, seat, incarnation, signal.SIGKILL, False, critical)

    def _aim(self, step: Step, main_pid: int) -> None:
        """Stop it until it holds a guard, or holds a lock, or is in native code; then kill it where it stands."""
        seat = step.victims[0]
        if (found := self._target(seat, False)) is None:
            return
        target, incarnation = found
        tries = _AIM_TRIES if self.plan.pace == plans.BUSY else 2
        end = time.monotonic() + _AIM_S
        for turn in range(tries):
            # Not while it rests.
            self._wait_for_begin(seat, 0.01)
            _spin_us((step.delay_us + 7 * turn) % 16)
            if not target.stop():
                break
            where = self._scope.look(target.pid)
            is_last = turn == tries - 1 or time.monotonic() > end
            is_there = where.in_guard or self._is_inside(seat, target.pid)
            if is_there or is_last or (where.in_core and turn > tries // 2):
                self._kill_stopped(target, seat, incarnation)
                break
            target.send(signal.SIGCONT)
        target.close()

    def _wait_for_begin(self, seat: int, timeout_s: float) -> None:
        words, at = self._book.words, self._book.at(seat, ledger.COUNT)
        before, end = words[at], time.monotonic() + timeout_s
        while words[at] == before and time.monotonic() < end:
            pass

    def _is_inside(self, seat: int, pid: int) -> bool:
        """Whether that process is inside what a lock guards."""
        return self._book.words[ledger.OWNER] == pid or self._book.words[ledger.HOLDS + seat] != 0

    def _hang(self, text: str, main_pid: int) -> None:
        self.result.say("hangs", text)
        pids = [main_pid, *tree_of(main_pid)]
        # The kernel's words first: a signal moves a process.
        self.result.dump += "".join(stacks(pid) for pid in pids)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, DUMP)
            except ProcessLookupError:
                continue  # it has just ended
            time.sleep(0.1)

    # -- after it

    def _end(self, main: subprocess.Popen[bytes], tree: list[int]) -> None:
        if main.poll() is None:
            main.kill()
        main.wait()
        running, _ = watch.wait_for_end(tree, watch.GRACE_S)
        for pid in running:
            if not self.result.wrong:
                self.result.say("orphans", f"process {pid} lives {watch.GRACE_S:g} s after the program's end")
            else:
                self.result.counts["orphans"] += 1
        end_adopted()

    def _judge(self, drained: bool) -> None:
        result, book = self.result, self._book
        for seat in range(SEATS + 1):
            if text := book.text(seat):
                result.say("errors", text)
        if not drained and not self.plan.kill_main and not result.wrong:
            result.say("errors", "the main process ended before it had drained")
        for pid in self._zombies.found:
            result.say("zombies", f"process {pid} was not reaped within {watch.REAP_S:g} s")
        if dead := self._book.words[ledger.ZOMBIES]:
            result.say("zombies", f"the main process has not reaped {dead} of its children when all is over")
        whole = drained and not result.wrong
        if self.plan.subject in LOCKS:
            verdict = exclusion.judge(book, range(SEATS), self.plan.subject, drained=whole)
            result.counts.update(verdict.counts)
            result.wrong += verdict.wrong
        else:
            judged = fates.judge(
                book,
                range(PRODUCERS),
                range(PRODUCERS, SEATS + 1),
                drained=whole,
                killed={(kill.seat, kill.incarnation): kill.at for kill in self._kills},
                main_killed=self._main_killed,
            )
            result.counts.update(judged.counts)
            result.wrong += judged.wrong
            result.named += judged.named
            if (
                whole
                and self.plan.subject == "JoinableQueue"
                and (text := fates.judge_tasks(book, range(PRODUCERS, SEATS)))
            ):
                result.say("lost", text)
            result.slowest_s = judged.slowest_s
            if judged.slowest_s > watch.GRACE_S:
                result.say("hangs", f"an item waited {judged.slowest_s:.1f} s beside a consumer that waited for it")
        if whole:
            self._judge_leaks()
        self._time()
        if result.wrong:
            self._output.seek(0)
            result.dump += "\n---- what the processes printed, and their stacks\n" + self._output.read()[-60_000:]

    def _judge_leaks(self) -> None:
        words = self._book.words
        more = words[ledger.FDS_AFTER] - words[ledger.FDS_BEFORE]
        if more > 0:
            self.result.counts["leaked descriptors"] += more - 1
            self.result.say("leaked descriptors", f"the main process has {more} more than before its first process")
        if (left := words[ledger.BYTES_LEFT]) > EMPTY_BYTES:
            self.result.say("leaked bytes", f"an empty queue keeps {left} bytes")

    def _time(self) -> None:
        """When deaths were noticed, when others went on, and how many died inside an operation."""
        noticed = {}
        for record in self._book.read(SEATS):
            if record.op == ledger.NOTICED:
                noticed[record.value >> 32, record.value & 0xFFFFFFFF] = record.start
        ends, cut, holding = [], set(), set()
        for seat in range(SEATS):
            for record in self._book.read(seat):
                if record.op in (ledger.START, ledger.ITEM):
                    continue
                key = seat, record.incarnation
                holding.discard(key)
                if record.end:
                    ends.append((record.end, seat))
                    if record.op == ledger.ACQUIRE:
                        holding.add(key)
                else:
                    cut.add(key)
        ends.sort()
        for kill in self._kills:
            key = kill.seat, kill.incarnation
            if key in noticed and noticed[key] > kill.at:
                self.result.noticed_s.append((noticed[key] - kill.at) / 1e9)
            self.result.counts["inside an operation"] += key in cut
            self.result.counts["in a critical section"] += kill.critical or key in holding
            if self.plan.pace == plans.BUSY:
                at = bisect.bisect(ends, (kill.at, SEATS))
                while at < len(ends) and ends[at][1] == kill.seat:
                    at += 1
                if at < len(ends):
                    self.result.recovered_s.append((ends[at][0] - kill.at) / 1e9)


def _spin_us(microseconds: int) -> None:
    end = time.perf_counter_ns() + microseconds * 1000
    while time.perf_counter_ns() < end:
        pass


def kill_main(main: subprocess.Popen[bytes], result: Result) -> None:
    """Kill the main process: the whole program must end with it."""
    tree = tree_of(main.pid)
    os.kill(main.pid, signal.SIGKILL)  # our own child, not yet waited for
    main.wait()
    result.counts["kills"] += 1
    result.counts["main process killed"] += 1
    running, seconds = watch.wait_for_end(tree, watch.GRACE_S)
    result.orphan_s.append(seconds)
    for pid in running:
        result.say("orphans", f"process {pid} lives {watch.GRACE_S:g} s after the main process died")
        result.dump += stacks(pid)


def end_adopted() -> None:
    """Orphans became children of this process (a subreaper): end them, and take their remains."""
    for pid in tree_of(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it has just ended
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
