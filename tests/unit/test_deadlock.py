"""Deadlocks of locks: reported once, with names and stacks, and never falsely."""

from __future__ import annotations

import os
import pickle
import random
import re
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import procfs
from helpers.crew import Actor, Line, new_crew
from helpers.procs import run_script
from helpers.waiting import wait_until

import hardy
from hardy._core import board, look, runtime
from hardy._sync import deadlock
from hardy._sync.waiting import Wait
from hardy.errors import DeadlockError

SOON_S = 0.05
LONG_S = 20.0


@pytest.fixture(autouse=True)
def raise_soon() -> Iterator[None]:
    """Deadlocks raise, and are looked for at once; children are forked with that."""
    before = deadlock.policy()
    deadlock.set_policy(SOON_S, "raise")
    yield
    deadlock.set_policy(*before)


def take_both(first: Any, second: Any, here: Any, there: Any) -> str:
    with first:
        here.set()
        there.wait()
        with second:
            return "through"


def meet(first: Any, second: Any) -> list[hardy.Process]:
    """Two processes that take two locks in opposite orders, each holding one."""
    here, there = hardy.Event(), hardy.Event()
    processes = [
        hardy.Process(target=take_both, args=(first, second, here, there), name="p1"),
        hardy.Process(target=take_both, args=(second, first, there, here), name="p2"),
    ]
    for each in processes:
        each.start()
    return processes


@pytest.mark.parametrize("kind", [hardy.Lock, hardy.RLock])
def test_deadlock_raises_in_one_and_the_other_goes_on(kind: Any) -> None:
    """Two processes that wait for each other's locks: one is told, with both names, and gives way."""
    processes = meet(kind(name="a"), kind(name="b"))

    outcomes = [each.exception(LONG_S) or each.result() for each in processes]

    (error,) = (each for each in outcomes if isinstance(each, DeadlockError))
    assert "through" in outcomes
    assert {(name, kind, wants) for _, name, kind, wants in error.cycle} == {
        ("p1", f"{kind.__name__} 'a'", f"{kind.__name__} 'b'"),
        ("p2", f"{kind.__name__} 'b'", f"{kind.__name__} 'a'"),
    }
    assert str(error).count("in take_both\n") == 2
    assert str(error).count("taken by `with`") == 2
    assert pickle.loads(pickle.dumps(error)).cycle == error.cycle


REPORT = """
import os, sys
import hardy
from helpers.waiting import wait_until

def take_both(first, second, here, there):
    with first:
        here.set()
        there.wait()
        with second:
            pass

if __name__ == "__main__":
    hardy.deadlock(after=0.1)
    context = hardy.get_context(sys.argv[1])
    a, b, x, y = context.Lock(name="a"), context.Lock(name="b"), context.Event(), context.Event()
    ps = [context.Process(target=take_both, args=args) for args in [(a, b, x, y), (b, a, y, x)]]
    for p in ps:
        p.start()
    assert wait_until(lambda: os.fstat(2).st_size > 0, 25)
    # For as long as a second report would take.
    ps[0].join(1.5)
    for p in ps:
        p.kill()
        p.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_deadlock_is_reported_once(method: str) -> None:
    """Without more being asked for, stderr has it: once, with both stacks; the processes wait on."""
    done = run_script(REPORT, method)

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("hardy: deadlock: 2 threads wait for each other's locks") == 1, done.stderr
    assert done.stderr.count("in take_both\n    with second:") == 2, done.stderr
    assert re.search(r"holds Lock 'a', taken by `with`,\n  and has waited [\d.]+ s for Lock 'b', here:", done.stderr)


def test_lock_that_is_taken_twice_by_a_thread_is_a_deadlock() -> None:
    """A thread that waits for a lock that it holds itself, waits for itself."""
    lock = hardy.Lock(name="once")

    with lock, pytest.raises(DeadlockError, match="a thread waits for a lock that it holds itself, Lock 'once'"):
        lock.__enter__()


def test_lock_that_was_its_holders_so_far_may_be_released_by_another(capfd: pytest.CaptureFixture[str]) -> None:
    """A Lock that only its holders have released waits for itself, as a signal does: no error, not a word."""
    lock, heard = hardy.Lock(name="signal"), hardy.Event()
    lock.acquire()
    lock.release()
    lock.acquire()

    def release_when_it_has_looked() -> None:
        assert wait_until(lambda: any(row["stack"] for row in look.own_waits()), LONG_S)
        heard.wait(SOON_S * 3)
        lock.release()

    process = hardy.Process(target=release_when_it_has_looked)
    process.start()

    assert lock.acquire()
    assert process.result(LONG_S) is None
    assert capfd.readouterr().err == ""


def acquire_both(first: Any, second: Any, here: Any, there: Any) -> str:
    first.acquire()
    here.set()
    there.wait()
    second.acquire()
    return "through"


def test_circle_of_acquired_locks_is_told_as_what_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    """What another may release raises nothing: the report says "unless", and when another does, both go on."""
    first, second, here, there = hardy.Lock(name="a"), hardy.Lock(name="b"), hardy.Event(), hardy.Event()
    calls = [(first, second, here, there), (second, first, there, here)]
    processes = [hardy.Process(target=acquire_both, args=args) for args in calls]
    for each in processes:
        each.start()
    said: list[str] = []

    def is_told() -> bool:
        said.append(capfd.readouterr().err)
        return "acquire(timeout=...)" in "".join(said)

    assert wait_until(is_told, LONG_S)
    first.release()
    second.release()

    assert [each.result(LONG_S) for each in processes] == ["through", "through"]
    text = "".join(said) + capfd.readouterr().err
    assert text.count("hardy: a deadlock, unless another thread releases Lock ") == 1
    assert "holds Lock 'a', taken by acquire()" in text


def test_lock_made_to_raise_is_its_holders_alone() -> None:
    """`Lock(deadlock="raise")`: acquired by acquire() it is in a proof, for nobody else may release it."""
    lock = hardy.Lock(deadlock="raise")
    lock.acquire()
    with pytest.raises(DeadlockError, match="waits for a lock that it holds itself"):
        lock.acquire()

    error = hardy.Process(target=lock.release)
    error.start()

    with pytest.raises(AssertionError, match='deadlock="raise" keeps it for its holder'):
        error.result(LONG_S)
    lock.release()
    assert not lock.locked()


def test_own_word_of_a_lock_goes_before_the_programs() -> None:
    """`deadlock=` of the lock that is waited for says what is done."""
    deadlock.set_policy(SOON_S, "off")
    lock = hardy.Lock(deadlock="raise")

    with lock, pytest.raises(DeadlockError):
        lock.__enter__()


def test_deadlock_is_not_seen_in_what_a_stopped_process_shows_late() -> None:
    """A waiter is stopped when it has seen who holds the lock; he lets go, and waits for the waiter; it goes on."""
    deadlock.set_policy(SOON_S, "off")
    first, second = hardy.Lock(name="first"), hardy.Lock(name="second")
    lets_go, is_held, ends = threading.Event(), threading.Event(), threading.Event()
    may_begin = hardy.Event()

    def wait_when_stopped() -> None:
        may_begin.wait()
        with second:
            runtime.arm("lock.wait.after_look=stop")
            with first:
                pass

    def hold_then_wait() -> None:
        with first:
            is_held.set()
            lets_go.wait()
        with second:
            pass

    def hold_next() -> None:
        with first:
            ends.wait()

    def waits(lock: str) -> dict[int, Wait]:
        found = (Wait.of(row) for row in look.own_waits())
        return {each.thread: each for each in found if each.title == f"Lock '{lock}'"}

    waiter = hardy.get_context("fork").Process(target=wait_when_stopped)
    waiter.start()
    threads = [threading.Thread(target=hold_then_wait), threading.Thread(target=hold_next)]
    threads[0].start()
    is_held.wait()
    threads[1].start()
    assert wait_until(lambda: waits("first"), LONG_S)
    (taker,) = waits("first")
    may_begin.set()
    assert wait_until(lambda: (found := procfs.stat(waiter.pid or 0)) is not None and found.state == "T", LONG_S)
    lets_go.set()
    assert wait_until(lambda: waits("second"), LONG_S)
    (giver,) = waits("second")

    os.kill(waiter.pid or 0, signal.SIGCONT)
    circles = []
    while not any(each.holder_thread == taker for each in waits("first").values()):
        circles += [deadlock.circle_of(each.row, each.turn) for each in waits("second").values()]

    ends.set()
    for thread in threads:
        thread.join()
    waiter.join()
    assert giver != taker
    assert not any(circles)


def test_threads_of_one_process_are_told_apart() -> None:
    """Two threads of a process deadlock as two processes do."""
    first, second = hardy.Lock(name="a"), hardy.Lock(name="b")
    here, there = threading.Event(), threading.Event()
    errors: list[DeadlockError] = []

    def take(one: Any, other: Any, mine: threading.Event, its: threading.Event) -> None:
        try:
            take_both(one, other, mine, its)
        except DeadlockError as error:
            errors.append(error)

    threads = [
        threading.Thread(target=take, args=(first, second, here, there)),
        threading.Thread(target=take, args=(second, first, there, here)),
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(errors) == 1
    assert "thread " in str(errors[0])


def test_lock_that_another_releases_is_no_deadlock() -> None:
    """A lock used as a signal is waited for by its holder, until another releases it."""
    lock = hardy.Lock(name="signal")
    lock.acquire()
    event = hardy.Event()

    def release_after_a_while() -> None:
        event.wait()
        assert wait_until(lambda: any(row["seen_ns"] for row in deadlock.look.own_waits()), LONG_S)
        # After the holder has looked for a deadlock more than once.
        threading.Event().wait(SOON_S * 3)
        lock.release()

    process = hardy.Process(target=release_after_a_while)
    process.start()
    event.set()

    assert lock.acquire()
    assert process.result(LONG_S) is None


def test_wait_with_a_timeout_is_no_deadlock() -> None:
    """What ends by itself is waited for to its end."""
    lock = hardy.RLock(name="busy")
    ready = threading.Event()
    go_on = threading.Event()

    def hold() -> None:
        with lock:
            ready.set()
            go_on.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()

    took = lock.acquire(timeout=SOON_S * 4)

    go_on.set()
    thread.join()
    assert not took


@pytest.mark.parametrize(("after", "action"), [(0, "report"), (-1, "raise"), (float("nan"), "report"), (1, "shout")])
def test_wrong_policy_is_refused(after: float, action: str) -> None:
    """A mistake is told at the call."""
    with pytest.raises(ValueError, match=r"after must be|action must be"):
        hardy.deadlock(after, action)


@pytest.mark.parametrize(
    ("text", "policy"),
    [("off", (5.0, "off")), ("raise", (5.0, "raise")), ("2.5", (2.5, "report")), ("raise:0.5", (0.5, "raise"))],
)
def test_environment_says_what_is_done(text: str, policy: tuple[float, str]) -> None:
    """HARDY_DEADLOCK is the same as the call."""
    assert deadlock._from_environment(text) == policy


def test_wrong_environment_is_named() -> None:
    """A mistake in HARDY_DEADLOCK says what it may be."""
    with pytest.raises(ValueError, match="HARDY_DEADLOCK='loud'"):
        deadlock._from_environment("loud")


# ---- random orders of locks, against a model ----


def play(line: Line, commands: Any, locks: list[Any]) -> None:
    """Do what is commanded."""
    while (command := commands.get()) is not None:
        action, number = command
        if action == "give":
            locks[number].release()
            line.say("gave")
            continue
        try:
            locks[number].__enter__() if action == "with" else locks[number].acquire()
        except DeadlockError as error:
            line.say("deadlock", len(error.cycle))
        else:
            line.say("has")


class Table:
    """Actors, locks, and who by the model holds and waits for which.

    A Lock that was taken by acquire() may be released by the test itself, which is another process: so a circle through
    it is no deadlock, and through one that this has happened to, nor is any.
    """

    def __init__(self, crew: Any, kind: Any, actors: int, locks: int) -> None:
        self.reentrant = kind is hardy.RLock
        self.locks = made = [kind() for _ in range(locks)]
        self.commands = [hardy.SimpleQueue() for _ in range(actors)]
        self.actors: list[Actor] = [crew.start(play, commands, made) for commands in self.commands]
        self.held: list[list[int]] = [[] for _ in range(actors)]
        self.wants: dict[int, int] = {}
        self.bare: set[tuple[int, int]] = set()  # (actor, lock), taken or wanted by acquire()
        self.shared: set[int] = set()  # locks that another than their holder has released
        self.heard = [0] * actors

    def owner(self, lock: int) -> int | None:
        return next((at for at, held in enumerate(self.held) if lock in held), None)

    def says(self, at: int) -> tuple[Any, ...]:
        assert wait_until(lambda: len(self.actors[at].hear()) > self.heard[at], LONG_S), f"actor {at} says nothing"
        self.heard[at] += 1
        return self.actors[at].said[self.heard[at] - 1]

    def circle(self, at: int) -> int:
        """How many wait in the deadlock that actor `at` closes; 0: it closes none."""
        other: int | None = at
        is_proved = True
        for length in range(1, len(self.actors) + 1):
            lock = self.wants.get(other, -1) if other is not None else -1
            other = self.owner(lock) if lock >= 0 else None
            is_proved &= self.reentrant or ((other, lock) not in self.bare and lock not in self.shared)
            if other == at:
                return length if is_proved else 0
        return 0

    def take(self, at: int, lock: int, action: str) -> None:
        owner = self.owner(lock)
        self.commands[at].put((action, lock))
        if action == "acquire" and owner != at:
            self.bare.add((at, lock))
        elif owner != at:
            self.bare.discard((at, lock))
        if owner is None or (self.reentrant and owner == at):
            assert self.says(at) == ("has",)
            self.held[at].append(lock)
            return
        self.wants[at] = lock
        length = self.circle(at)
        if not length:
            self.actors[at].wait_asleep()
            return
        assert self.says(at) == ("deadlock", length)
        del self.wants[at]
        while self.held[at]:
            self.give(at)

    def give(self, at: int) -> None:
        lock = self.held[at].pop()
        self.commands[at].put(("give", lock))
        assert self.says(at) == ("gave",)
        if lock not in self.held[at]:
            self.pass_on(lock)

    def anybodys(self) -> list[tuple[int, int]]:
        """What is held, and by whom, that another may release."""
        held = [(at, lock) for at, locks in enumerate(self.held) for lock in locks]
        return [(at, lock) for at, lock in held if (at, lock) in self.bare or lock in self.shared]

    def release_anothers(self, at: int, lock: int) -> None:
        """The test releases what an actor has acquired, whatever that one does now."""
        self.locks[lock].release()
        self.shared.add(lock)
        self.held[at].remove(lock)
        self.pass_on(lock)

    def pass_on(self, lock: int) -> None:
        waiting = [each for each, wanted in self.wants.items() if wanted == lock]
        if waiting:
            lucky = self.first_to_speak(waiting)
            assert self.says(lucky) == ("has",)
            del self.wants[lucky]
            self.held[lucky].append(lock)

    def first_to_speak(self, actors: list[int]) -> int:
        assert wait_until(lambda: any(self.has_news(each) for each in actors), LONG_S)
        (lucky,) = (each for each in actors if self.has_news(each))
        return lucky

    def has_news(self, at: int) -> bool:
        return len(self.actors[at].hear()) > self.heard[at]

    def nobody_else_speaks(self) -> None:
        assert not [each for each in range(len(self.actors)) if self.has_news(each)], "a false report"


@pytest.mark.parametrize("kind", [hardy.Lock, hardy.RLock])
@pytest.mark.parametrize("seed", range(4))
def test_deadlock_is_raised_exactly_when_the_model_has_one(kind: Any, seed: int) -> None:
    """Random orders of locks in real processes: every deadlock is found by who closes it, and nothing else is."""
    choice = random.Random(seed)
    board.ensure("test")
    with new_crew() as crew:
        table = Table(crew, kind, actors=4, locks=4)
        for _ in range(40):
            free = [at for at in range(4) if at not in table.wants]
            anybodys = table.anybodys()
            if not free or (anybodys and choice.random() < 0.1):
                table.release_anothers(*choice.choice(anybodys))
                table.nobody_else_speaks()
                continue
            at = choice.choice(free)
            if table.held[at] and choice.random() < 0.35:
                table.give(at)
            else:
                bare = kind is hardy.Lock and choice.random() < 0.25
                table.take(at, choice.randrange(4), "acquire" if bare else "with")
            table.nobody_else_speaks()


def test_process_that_is_killed_in_a_circle_frees_the_other() -> None:
    """A deadlock that a kill breaks is one no more."""
    deadlock.set_policy(SOON_S, "off")
    first, second = meet(hardy.RLock(), hardy.RLock())
    assert wait_until(lambda: len(deadlock.look.own_waits()) >= 2, LONG_S)

    first.kill()

    assert second.result(LONG_S) == "through"
    first.join()
    assert first.exitcode == -signal.SIGKILL
