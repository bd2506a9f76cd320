"""The world: the main process of a program of the user's kind, whose processes the conductor kills.

It makes the shared object, starts a process in each seat, starts another when one has died, and when the conductor says
that the round drains it lets them end and looks at what is left.

    python -m chaos.world PLAN LEDGER SEATS RECORDS
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
import types
import warnings
from dataclasses import asdict
from typing import Any

from chaos import ledger, lock_seats, queue_seats
from chaos.kits import Kit, kit_class
from chaos.ledger import Ledger, Pen
from chaos.plan import Plan, Step
from chaos.victims import children_of, is_alive
from chaos.watch import REAP_S

SEATS = 8
PRODUCERS = 4
# The signal that makes a process write its stacks to standard error.
DUMP = signal.SIGUSR2
BROKEN_EXIT = 70
# So long without a change, and no more descriptors are on their way out.
_CALM_S = 0.1
_ENDED_BY_US = (0, -signal.SIGKILL, -signal.SIGTERM)


def to_text(plan: Plan) -> str:
    """The plan as an argument of a command, without its steps."""
    return json.dumps({**asdict(plan), "steps": []})


def to_plan(text: str) -> Plan:
    """What `to_text` made."""
    return Plan(**json.loads(text))


def attach(place: tuple[str, int, int, bool]) -> Ledger:
    """The ledger, opened through the conductor's descriptor."""
    path, seats, records, wraps = place
    return Ledger(seats, records, os.open(path, os.O_RDWR | os.O_CLOEXEC), wraps=wraps)


def _leave(number: int, frame: types.FrameType | None) -> None:
    raise SystemExit(0)


def take_seat(plan: Plan, place: tuple[str, int, int, bool], seat: int, incarnation: int, shared: Any) -> None:
    """What the process of a seat does."""
    faulthandler.register(DUMP, all_threads=True)
    warnings.simplefilter("ignore")
    book = attach(place)
    # Who held the seat before wrote here; of nested processes the inner one may outlive the outer for an instant.
    before = book.seat_word(seat, ledger.PID)
    while before and is_alive(before):
        time.sleep(0.0005)
    book.words[ledger.HOLDS + seat] = 0
    pen = Pen(book, seat, incarnation)
    if plan.term_handler and incarnation % 2:
        signal.signal(signal.SIGTERM, _leave)
    if plan.limits:
        queue_seats.few_means()
    pen.note(ledger.START, os.getpid())
    try:
        if plan.subject in lock_seats.SUBJECTS:
            lock_seats.work(shared, plan, pen)
        elif seat < PRODUCERS:
            queue_seats.produce(shared, plan, pen)
        else:
            queue_seats.consume(shared, plan, pen)
    except Exception:
        book.write_text(seat, traceback.format_exc())
        os._exit(BROKEN_EXIT)


def take_seat_nested(plan: Plan, place: tuple[str, int, int, bool], seat: int, incarnation: int, shared: Any) -> None:
    """The process of a seat starts another, which does the work, and checks what it is told of its end."""
    faulthandler.register(DUMP, all_threads=True)
    book = attach(place)
    book.words[book.at(seat, ledger.OUTER_PID)] = os.getpid()
    kit = kit_class(plan.kit)(plan)
    inner = kit.process(take_seat, (plan, place, seat, incarnation, shared), f"inner-{seat}-{incarnation}")
    inner.start()
    inner.join()
    if wrong := kit.check_verdict(inner):
        book.write_text(seat, wrong)
        os._exit(BROKEN_EXIT)
    if inner.exitcode == BROKEN_EXIT:
        os._exit(BROKEN_EXIT)


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _opened_on(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return "what listed them"


class World:
    """The main process."""

    def __init__(self, plan: Plan, place: tuple[str, int, int, bool]) -> None:
        self.plan = plan
        self.place = place
        self.ledger = attach(place)
        self.pen = Pen(self.ledger, SEATS, 0)
        self.kit: Kit = kit_class(plan.kit)(plan)
        self.is_queue = plan.subject not in lock_seats.SUBJECTS
        self.living: dict[int, Any] = {}
        self.incarnations = [0] * SEATS
        self.restarts_only_consumers = False

    def _start(self, seat: int) -> None:
        self.incarnations[seat] += 1
        incarnation = self.incarnations[seat]
        target = take_seat_nested if self.plan.nested else take_seat
        args = (self.plan, self.place, seat, incarnation, self.shared)
        process = self.kit.process(target, args, f"seat-{seat}-{incarnation}")
        process.start()
        self.living[seat] = process

    def _notice(self) -> None:
        """Take note of those that have ended."""
        for seat, process in list(self.living.items()):
            if (code := process.exitcode) is None:
                continue
            del self.living[seat]
            self.pen.note(ledger.NOTICED, seat << 32 | self.incarnations[seat])
            if code not in _ENDED_BY_US:
                self.ledger.write_text(seat, f"seat {seat} ended with exit code {code}")
            elif wrong := self.kit.check_verdict(process):
                self.ledger.write_text(seat, wrong)
            process.close()

    def run(self) -> None:
        """All of the round."""
        if self.plan.limits:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        self._settle_descriptors()
        self.shared = self.kit.make(self.plan.subject)
        words = self.ledger.words
        words[ledger.FDS_BEFORE] = _open_descriptors()
        for seat in range(SEATS):
            self._start(seat)
        words[ledger.WORLD_STATE] = ledger.READY
        while words[ledger.PHASE] == ledger.RUNNING:
            self.kit.wait(list(self.living.values()), 0.1)
            self._notice()
            self._start_the_missing()
        self._let_end()
        self._look_after()
        # Each of these may take a while: that the conductor does not take it for a hang, say so in between.
        self.pen.note(ledger.START, 0)
        self._count_descriptors()
        self.pen.note(ledger.START, 0)
        self._count_zombies()
        words[ledger.WORLD_STATE] = ledger.DRAINED

    def _count_descriptors(self) -> None:
        # A thread of the library's own may still be on its way out.
        words, end = self.ledger.words, time.monotonic() + 2
        while (now := _open_descriptors()) > words[ledger.FDS_BEFORE] and time.monotonic() < end:
            time.sleep(0.01)
        words[ledger.FDS_AFTER] = now
        if now > words[ledger.FDS_BEFORE]:
            for fd in os.listdir("/proc/self/fd"):
                print("descriptor", fd, _opened_on(fd), flush=True)

    def _count_zombies(self) -> None:
        end = time.monotonic() + REAP_S
        while (dead := [pid for pid in children_of(os.getpid()) if not is_alive(pid)]) and time.monotonic() < end:
            time.sleep(0.01)
        self.ledger.words[ledger.ZOMBIES] = len(dead)

    def _start_the_missing(self) -> None:
        for seat in range(SEATS):
            if seat not in self.living and self.ledger.words[ledger.PHASE] == ledger.RUNNING:
                if self.ledger.seat_word(seat, ledger.FULL):
                    continue
                self._start(seat)

    def _settle_descriptors(self) -> None:
        """What a library opens at its first process, and keeps, is no leak; what it keeps for a moment only, is."""
        first = self.kit.process(int, (), "first")
        first.start()
        first.join()
        first.close()
        count, since = 0, time.monotonic()
        while time.monotonic() - since < _CALM_S:
            if (now := _open_descriptors()) != count:
                count, since = now, time.monotonic()
            time.sleep(0.01)

    def _let_end(self) -> None:
        """The seats end by themselves: first those that put, then, told so, those that get."""
        if self.is_queue:
            self._wait_for(range(PRODUCERS))
            self._notice()
            queue_seats.put_last(self.shared, len(self.living))
        self._wait_for(range(SEATS))

    def _wait_for(self, seats: range) -> None:
        while waited := [process for seat, process in self.living.items() if seat in seats]:
            if not self.is_queue:
                lock_seats.let_go(self.shared, self.plan)
            self.kit.wait(waited, 0.05)
            self._notice()

    def _look_after(self) -> None:
        if not self.is_queue:
            lock_seats.look_after(self.shared, self.plan, self.pen)
            return
        queue_seats.drain(self.shared, self.plan, self.pen, self.kit.get_briefly)
        if self.plan.subject == "JoinableQueue":
            self._join()
        self.pen.note(ledger.START, 0)
        self.ledger.words[ledger.BYTES_LEFT] = self.kit.bytes_left(self.shared)

    def _join(self) -> None:
        """`join` of a JoinableQueue of which the dead took some."""
        self.pen.begin(ledger.DONE)
        # The main process took what was left without task_done.
        for record in self.ledger.read(SEATS):
            if record.op == ledger.GET and record.end and not record.code & ledger.REFUSED:
                self.shared.task_done()
        if hasattr(self.shared, "put_many"):
            from hardy import TasksLost

            while True:
                try:
                    self.shared.join(timeout=5)
                    break
                except TasksLost as lost:
                    self.ledger.words[ledger.TASKS_LOST] += lost.items
        else:
            self.shared.join()
        self.pen.end()


def main() -> None:
    """Run the world of the arguments."""
    faulthandler.enable()
    faulthandler.register(DUMP, all_threads=True)
    warnings.simplefilter("ignore")
    plan = to_plan(sys.argv[1])
    place = (sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), len(sys.argv) > 5)
    world = World(plan, place)
    try:
        world.run()
    except Exception:
        world.ledger.write_text(SEATS, traceback.format_exc())
        raise


__all__ = ["Step", "World", "main", "take_seat", "to_plan", "to_text"]

if __name__ == "__main__":
    # Under spawn the seats' functions are looked up in the module by its own name, not in __main__.
    from chaos import world

    world.main()
