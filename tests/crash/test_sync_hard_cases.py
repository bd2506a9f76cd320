"""What hung or misled others: aimed kills and stops on quiet locks, and the tutorial's data race."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import procfs
from helpers.waiting import wait_until
from helpers.world import Child, Tally, world

from hardy._core import runtime
from hardy.errors import OwnerDied, OwnerDiedWarning
from hardy.synchronize import Barrier, BrokenBarrierError, Condition, Event, Lock, RLock, RWLock, Semaphore

SOON_S = 5.0


def hold(lock: Lock | RLock) -> Callable[[Child], None]:
    def work(child: Child) -> None:
        lock.acquire()
        child.told()
        lock.release()

    return work


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_lock_warns_and_says_recovered_when_its_owner_was_killed(kind: type[Lock | RLock]) -> None:
    """Whoever gets the lock is told which process died with which lock, until it releases."""
    with world() as w:
        lock = kind(name="stock")
        owner = w.fork(hold(lock))
        owner.comes()
        owner.kill()

        with pytest.warns(OwnerDiedWarning, match=rf"process {owner.pid}.* died holding {kind.__name__} 'stock'"):
            assert lock.acquire(False)

        assert lock.recovered
        lock.release()
        assert not lock.recovered


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_lock_raises_while_it_is_held_when_asked_to(kind: type[Lock | RLock]) -> None:
    """With on_owner_death="raise" the error names the dead, and the lock is held."""
    with world() as w:
        lock = kind(name="stock", on_owner_death="raise")
        owner = w.fork(hold(lock))
        owner.comes()
        owner.kill()

        with pytest.raises(OwnerDied) as caught:
            lock.acquire()

        assert caught.value.pid == owner.pid
        assert lock._is_mine()
        lock.release()
        assert not lock.locked()


@pytest.mark.parametrize("kind", [Lock, RLock])
def test_lock_is_not_kept_when_the_warning_is_an_error(kind: type[Lock | RLock]) -> None:
    """A filter that makes an error of the warning leaves the lock to the next, who is warned instead."""
    with world() as w:
        lock = kind()
        owner = w.fork(hold(lock))
        owner.comes()
        owner.kill()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(OwnerDiedWarning):
                lock.acquire()
        assert not lock._is_mine()

        with pytest.warns(OwnerDiedWarning):
            assert lock.acquire(False)

        lock.release()


def test_lock_waits_for_a_stopped_owner_and_not_for_longer() -> None:
    """A stopped owner lives: its lock is not taken, time-outs work, and it can still release."""
    with world() as w:
        lock = Lock()
        owner = w.fork(hold(lock))
        owner.comes()
        owner.kill(signal.SIGSTOP)

        assert not lock.acquire(timeout=0.3)
        assert not lock.acquire(False)
        owner.kill(signal.SIGCONT)
        owner.tell()

        assert lock.acquire(timeout=SOON_S)
        assert not lock.recovered
        lock.release()


def test_lock_is_had_when_the_woken_waiter_was_killed_before_it_ran() -> None:
    """The wake-up that a killed waiter swallowed is made good within a slice."""
    with world() as w:
        lock = Lock()
        lock.acquire()
        first = w.fork_asleep(lock.acquire)
        second = w.fork_asleep(lock.acquire)
        first.kill(signal.SIGSTOP)

        lock.release()
        first.kill()

        assert second.ends(SOON_S) == 0


def test_lock_is_not_held_by_the_child_of_its_owner() -> None:
    """Fork while holding: the parent still holds the lock, the child waits for it like anyone."""
    with world() as w:
        lock = RLock()
        lock.acquire()

        def child(_: Child) -> None:
            assert not lock._is_mine()
            assert not lock.acquire(False)
            with pytest.raises(AssertionError):
                lock.release()

        assert w.fork(child).ends(SOON_S) == 0
        assert lock._is_mine()
        lock.release()


WAITS: dict[str, Callable[[], Callable[[], object]]] = {
    "Lock": lambda: (lock := Lock(), lock.acquire())[0].acquire,
    "Semaphore": lambda: Semaphore(0).acquire,
    "Event": lambda: Event().wait,
    "Barrier": lambda: Barrier(2).wait,
    "RWLock": lambda: (lock := RWLock(), lock.acquire_write())[0].acquire_read,
}


@pytest.mark.parametrize("kind", WAITS)
def test_wait_ends_when_ctrl_c_is_pressed(kind: str) -> None:
    """A wait without end raises KeyboardInterrupt at once, and takes nothing."""
    with world() as w:
        wait = WAITS[kind]()

        def work(child: Child) -> None:
            child.say()
            with pytest.raises(KeyboardInterrupt):
                wait()

        child = w.fork(work)
        child.asleep()
        child.kill(signal.SIGINT)

        assert child.ends(SOON_S) == 0


def test_condition_wait_holds_the_lock_again_when_ctrl_c_is_pressed() -> None:
    """The lock is back before KeyboardInterrupt comes out, and nobody waits any more."""
    with world() as w:
        condition = Condition()

        def work(child: Child) -> None:
            with condition:
                child.say()
                with pytest.raises(KeyboardInterrupt):
                    condition.wait()
                assert condition._lock._is_mine()

        child = w.fork(work)
        child.asleep()
        child.kill(signal.SIGINT)

        assert child.ends(SOON_S) == 0
        assert condition._waiting() == 0


def waits(condition: Condition) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with condition:
            assert condition.wait()

    return work


def test_condition_notify_reaches_the_living_when_the_longest_waiter_is_dead() -> None:
    """A dead sleeper neither holds up notify nor takes a notification."""
    with world() as w:
        condition = Condition()
        first = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 1)
        second = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 2)
        first.kill()

        with condition:
            condition.notify()

        assert second.ends(SOON_S) == 0


def test_condition_passes_a_notification_on_when_the_notified_is_killed_before_it_runs() -> None:
    """The next waiter gets what a killed one was notified of."""
    with world() as w:
        condition = Condition()
        first = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 1)
        second = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 2)
        first.kill(signal.SIGSTOP)
        with condition:
            condition.notify()

        first.kill()

        assert second.ends(SOON_S) == 0


def test_condition_does_not_pass_a_notification_to_one_that_came_later() -> None:
    """A notification of a dead process goes to those who waited at that time, or to nobody."""
    with world() as w:
        condition = Condition()
        dead = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 1)
        dead.kill(signal.SIGSTOP)
        with condition:
            condition.notify()

        dead.kill()

        with condition:
            assert not condition.wait(0.3)


def test_condition_notify_returns_when_the_sleeper_is_stopped() -> None:
    """Notify waits for nobody."""
    with world() as w:
        condition = Condition()
        sleeper = w.fork_asleep(waits(condition))
        assert wait_until(lambda: condition._waiting() == 1)
        sleeper.kill(signal.SIGSTOP)

        started = time.monotonic()
        with condition:
            condition.notify_all()

        assert time.monotonic() - started < 1
        sleeper.kill(signal.SIGCONT)
        assert sleeper.ends(SOON_S) == 0


def test_event_lets_a_stopped_waiter_go_when_it_was_set_and_cleared() -> None:
    """A set that is followed by clear at once has let everyone go who waited."""
    with world() as w:
        event = Event()
        waiter = w.fork_asleep(lambda: os._exit(0 if event.wait() else 1))
        waiter.kill(signal.SIGSTOP)

        event.set()
        event.clear()
        waiter.kill(signal.SIGCONT)

        assert waiter.ends(SOON_S) == 0


def test_semaphore_permits_come_back_when_their_holder_is_killed() -> None:
    """All permits of the dead that were taken with `with`, and none that were taken bare."""
    with world() as w:
        semaphore = Semaphore(5)

        def take(child: Child) -> None:
            with semaphore, semaphore:
                semaphore.acquire()
                child.say()
                signal.pause()

        holder = w.fork(take)
        holder.comes()
        assert semaphore.get_value() == 2

        holder.kill()

        assert semaphore.get_value() == 4


def test_semaphore_times_out_when_another_is_stopped_inside_an_operation() -> None:
    """Inside the guard, at worst: time-outs and Ctrl-C still work, and all goes on once it does."""
    with world() as w:
        semaphore = Semaphore(1)

        def stop_inside(child: Child) -> None:
            runtime.arm("sem.hold.after_commit=stop")
            child.say()
            semaphore.__enter__()

        def enter_interrupted() -> None:
            with pytest.raises(KeyboardInterrupt):
                semaphore.__enter__()

        stopped = w.fork(stop_inside)
        stopped.comes()
        assert wait_until(lambda: (found := procfs.stat(stopped.pid)) is not None and found.state == "T")

        assert not semaphore.acquire(timeout=0.1)
        assert not semaphore.acquire(False)
        interrupted = w.fork_asleep(enter_interrupted)
        interrupted.kill(signal.SIGINT)
        assert interrupted.ends(SOON_S) == 0

        stopped.kill(signal.SIGCONT)
        assert stopped.ends(SOON_S) == 0
        assert semaphore.get_value() == 1


def test_barrier_breaks_and_names_the_dead_when_a_waiting_party_is_killed() -> None:
    """Who waits is told at once, by pid; who comes later, too."""
    with world() as w:
        barrier = Barrier(3, name="start")
        dead = w.fork_asleep(barrier.wait)

        def other(child: Child) -> None:
            child.say()
            with pytest.raises(
                BrokenBarrierError, match=rf"process {dead.pid}.* died while it waited at barrier 'start'"
            ):
                barrier.wait()

        waiter = w.fork(other)
        waiter.asleep()

        dead.kill()

        assert waiter.ends(SOON_S) == 0
        with pytest.raises(BrokenBarrierError):
            barrier.wait()


def test_barrier_is_broken_when_the_last_party_finds_another_dead() -> None:
    """The last to come does not pass with one who died before."""
    with world() as w:
        barrier = Barrier(2)
        w.fork_asleep(barrier.wait).kill()

        with pytest.raises(BrokenBarrierError):
            barrier.wait(SOON_S)

        assert barrier.broken


def test_barrier_lets_others_go_on_when_one_that_passed_is_stopped() -> None:
    """A party that has passed and not yet left is in nobody's way."""
    with world() as w:
        barrier = Barrier(2)
        stopped = w.fork_asleep(barrier.wait)
        stopped.kill(signal.SIGSTOP)
        barrier.wait(SOON_S)

        other = w.fork(lambda _: barrier.wait(SOON_S))
        barrier.wait(SOON_S)

        assert other.ends(SOON_S) == 0
        stopped.kill(signal.SIGCONT)
        assert stopped.ends(SOON_S) == 0


def test_rwlock_lets_readers_in_when_the_waiting_writer_is_killed() -> None:
    """A dead writer in the queue holds back nobody."""
    with world() as w:
        lock = RWLock()
        lock.acquire_read()
        writer = w.fork_asleep(lock.acquire_write)
        assert not w.fork(lambda _: os._exit(lock.acquire_read(False))).ends()

        writer.kill()

        assert w.fork(lambda _: os._exit(not lock.acquire_read(timeout=SOON_S))).ends() == 0
        lock.release_read()


def write_and_die(lock: RWLock) -> Callable[[Child], None]:
    def work(_: Child) -> None:
        lock.acquire_write()
        signal.raise_signal(signal.SIGKILL)

    return work


def test_rwlock_tells_everyone_that_a_writer_died_until_another_has_written() -> None:
    """Readers and the next writer are warned; once that one has released, nobody is."""
    with world() as w:
        lock = RWLock(name="index")
        dead = w.fork(write_and_die(lock))
        dead.ends()

        for hold in (lock.read, lock.read, lock.write):
            with pytest.warns(OwnerDiedWarning, match=rf"{dead.pid}.* died holding RWLock 'index'"), hold():
                assert lock.recovered

        assert not lock.recovered
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with lock.read():
                pass


@pytest.mark.parametrize("ends_up_holding", [True, False])
def test_rwlock_raises_when_a_writer_died_and_errors_are_asked_for(ends_up_holding: bool) -> None:
    """OwnerDied comes with the lock held; a warning made an error, without it and told again."""
    with world() as w:
        lock = RWLock(on_owner_death="raise" if ends_up_holding else "warn")
        w.fork(write_and_die(lock)).ends()

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                with pytest.raises(OwnerDied if ends_up_holding else OwnerDiedWarning):
                    lock.acquire_read()
                if ends_up_holding:
                    lock.release_read()
            with pytest.raises(OwnerDied if ends_up_holding else OwnerDiedWarning):
                lock.acquire_write()

        assert lock._state()[0] == (runtime.self_identity() if ends_up_holding else 0)
        assert lock.recovered
        if ends_up_holding:
            lock.release_write()
            assert not lock.recovered


STEPS = ["read", "decide", "write", "rename"]


def sell(lock: Lock, folder: Path, buyer: int, dies_at: str | None = None) -> bool:
    """Buy the ticket, if there is one. The rename is the commit, so that the lock is all it takes."""

    def step(name: str) -> None:
        if name == dies_at:
            signal.raise_signal(signal.SIGKILL)
        os.sched_yield()

    with lock:
        tickets = json.loads((folder / "tickets.json").read_text())
        step("read")
        if tickets["left"] == 0:
            return False
        step("decide")
        tickets["left"] -= 1
        tickets["buyers"].append(buyer)
        temporary = folder / f"tickets-{os.getpid()}"
        temporary.write_text(json.dumps(tickets))
        step("write")
        temporary.rename(folder / "tickets.json")
        step("rename")
        return True


@pytest.mark.parametrize("dies_at", [None, *STEPS])
def test_one_ticket_is_sold_once_when_ten_processes_want_it(dies_at: str | None, tmp_path: Path) -> None:
    """The tutorial's data race: exactly one sale, also when the process inside is killed at any step."""
    with world() as w:
        lock = Lock(name="ticket")
        (tmp_path / "tickets.json").write_text(json.dumps({"left": 1, "buyers": []}))
        lock.acquire()

        def buy(buyer: int) -> Callable[[], None]:
            def work() -> None:
                warnings.simplefilter("ignore", OwnerDiedWarning)
                os._exit(10 if sell(lock, tmp_path, buyer) else 0)

            return work

        victim = w.fork_asleep(lambda: sell(lock, tmp_path, 0, dies_at))
        buyers = [w.fork_asleep(buy(number)) for number in range(1, 10)]
        if dies_at is not None:
            # Only the victim may come first: the others' wake-up is made good by their slices.
            for buyer in buyers:
                buyer.kill(signal.SIGSTOP)
        lock.release()
        ended = victim.ends(SOON_S)
        for buyer in buyers:
            buyer.kill(signal.SIGCONT)
        codes = [buyer.ends(SOON_S) for buyer in buyers]

        tickets = json.loads((tmp_path / "tickets.json").read_text())
        assert ended == (0 if dies_at is None else -signal.SIGKILL)
        assert tickets["left"] == 0
        assert len(tickets["buyers"]) == 1
        assert codes.count(10) == (1 if tickets["buyers"] != [0] else 0)


def test_counter_is_exact_when_processes_are_killed_at_random_steps() -> None:
    """Twenty processes take turns; each third is killed at its second acquire; nobody is ever inside with another."""
    with world() as w:
        lock, tally = Lock(), Tally()

        def turns(_: Child) -> None:
            warnings.simplefilter("ignore", OwnerDiedWarning)
            for _turn in range(10):
                with lock:
                    tally.add()

        def dies(_: Child) -> None:
            warnings.simplefilter("ignore", OwnerDiedWarning)
            runtime.arm("lock.acquire.after_cas=kill:2")
            turns(_)

        children = [w.fork(dies if number % 3 == 0 else turns) for number in range(20)]

        for number, child in enumerate(children):
            assert child.ends(20) == (-signal.SIGKILL if number % 3 == 0 else 0)
        assert 13 * 10 <= tally.value <= 13 * 10 + 7 * 10
