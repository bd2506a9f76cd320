"""What a process does with a lock or its like when it dies at an instruction of it."""

from __future__ import annotations

import os
from threading import BrokenBarrierError
from typing import Any

from aimed.scene import GO_ON_S, Scene, heard, repaired, says
from helpers.crew import Crew
from helpers.waiting import wait_until

from hardy import Barrier, Condition, Event, Lock, RLock, RWLock, Semaphore

WAITED_S = 0.02


class Acquire(Scene):
    kind: Any = Lock

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.lock = self.kind()

    def strike(self) -> None:
        assert self.lock.acquire()

    def check(self) -> int:
        assert self.lock.acquire(timeout=GO_ON_S)
        recovered = self.lock.recovered
        self.lock.release()
        assert not self.lock.locked()
        assert self.lock.acquire(False)
        assert not self.lock.recovered
        self.lock.release()
        return int(recovered)


class Release(Acquire):
    begins = 0

    def warm(self) -> None:
        assert self.lock.acquire()

    def strike(self) -> None:
        self.lock.release()

    def check(self) -> int:
        return 1 - super().check()


class RAcquire(Acquire):
    kind = RLock


class RRelease(Release):
    kind = RLock


class RAcquireTwice(RAcquire):
    begins = 1

    def warm(self) -> None:
        assert self.lock.acquire()


class ReleaseWaited(Acquire):
    """Another sleeps on the lock; it must get it without anybody else's doing."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.bystander: Any = None
        # The victim must hold the lock before the bystander comes, and the bystander sleep before the release.
        self.gate, self._sleeps = os.pipe()
        self._holds, self.held = os.pipe()

    def warm(self) -> None:
        assert self.lock.acquire()
        os.write(self.held, b".")
        os.read(self.gate, 1)

    def arranged(self) -> None:
        os.read(self._holds, 1)
        self.bystander = self.asleep(says, self._turn)
        os.write(self._sleeps, b".")

    def _turn(self) -> bool:
        with self.lock:
            return bool(self.lock.recovered)

    def strike(self) -> None:
        self.lock.release()

    def check(self) -> int:
        recovered = heard(self.bystander)
        for fd in (self.gate, self._sleeps, self._holds, self.held):
            os.close(fd)
        assert super().check() == 0
        return int(not recovered)


class TakeOver(Acquire):
    """The owner is dead, and who takes the lock over dies too: the next is told in any case."""

    ends = 0

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        crew.start(says, self.lock.acquire).ended(GO_ON_S)

    def check(self) -> int:
        assert super().check() == 1
        return 0


class AcquireInVain(Acquire):
    """The lock is held, and the victim sleeps for a moment."""

    ends = 0

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.lock.acquire()

    def strike(self) -> None:
        assert not self.lock.acquire(timeout=WAITED_S)

    def check(self) -> int:
        assert self.lock.locked()
        self.lock.release()
        return super().check()


class SetEvent(Scene):
    """Others wait; they must go on once the event is set."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.event = Event()
        self.bystander = self.asleep(says, self.event.wait)

    def strike(self) -> None:
        self.event.set()

    def check(self) -> int:
        done = self.event.is_set()
        if not done:
            self.event.set()
        assert heard(self.bystander)
        return int(done)


class ClearEvent(Scene):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.event = Event()
        self.event.set()

    def strike(self) -> None:
        self.event.clear()

    def check(self) -> int:
        done = not self.event.is_set()
        self.event.set()
        assert self.event.wait(0)
        return int(done)


class WaitEvent(Scene):
    ends = 0

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.event = Event()

    def strike(self) -> None:
        self.event.wait(WAITED_S)

    def check(self) -> int:
        self.event.set()
        assert self.event.wait(0)
        return 0


class SemAcquire(Scene):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.semaphore = Semaphore(3)

    def strike(self) -> None:
        assert self.semaphore.acquire()

    def check(self) -> int:
        value = self.semaphore.get_value()
        for _ in range(value):
            assert self.semaphore.acquire(False)
        assert not self.semaphore.acquire(False)
        self.semaphore.release()
        assert self.semaphore.get_value() == 1
        return 3 - value


class SemRelease(SemAcquire):
    def strike(self) -> None:
        self.semaphore.release()

    def check(self) -> int:
        return -super().check()


class SemEnter(SemAcquire):
    """What is taken by `with` comes back."""

    ends = 0

    def strike(self) -> None:
        self.semaphore.__enter__()


class SemLeave(SemEnter):
    def warm(self) -> None:
        self.semaphore.__enter__()

    def strike(self) -> None:
        self.semaphore.__exit__(None, None, None)


class SemReleaseWaited(Scene):
    """Another waits for a permit; it must have it without a further release."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.semaphore = Semaphore(0)
        self.bystander = self.asleep(says, self.semaphore.acquire)

    def strike(self) -> None:
        self.semaphore.release()

    def check(self) -> int:
        if self.semaphore.get_value():
            assert heard(self.bystander)
        self.semaphore.release()
        assert heard(self.bystander)
        return int(self.semaphore.get_value())


class SemReleaseForTheDead(Scene):
    """Who waited was killed; three permits are given."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.semaphore = Semaphore(0)
        self.asleep(says, self.semaphore.acquire).dispose()
        crew.actors.clear()

    def strike(self) -> None:
        for _ in range(3):
            self.semaphore.release()

    def check(self) -> int:
        return self.semaphore.get_value() // 3


class ReleaseForTheDead(Acquire):
    """Who waited was killed; the lock is released, and acquired and released again."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.lock.acquire()
        self.asleep(says, self.lock.acquire).dispose()
        crew.actors.clear()

    def strike(self) -> None:
        self.lock.release()
        for _ in range(2):
            with self.lock:
                pass


class Notify(Scene):
    """Two wait, one is to be notified."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.condition = Condition(Lock())
        self.bystanders = [self.asleep(says, self._wait) for _ in range(2)]

    def _wait(self) -> bool:
        with self.condition:
            return bool(self.condition.wait())

    def warm(self) -> None:
        assert self.condition.acquire()

    def strike(self) -> None:
        self.condition.notify()

    def check(self) -> int:
        with self.condition:
            left = self.condition._waiting()
        if left < 2:
            assert wait_until(lambda: any(each.hear() for each in self.bystanders), GO_ON_S), "notified, and not woken"
            assert wait_until(lambda: self.condition._waiting() == 1, 0.0)
        with self.condition:
            self.condition.notify_all()
        for each in self.bystanders:
            assert heard(each)
        return 2 - left


class WaitCondition(Notify):
    """The dead one waits too, and a notification must not be spent on it."""

    ends = 0

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)

    def strike(self) -> None:
        self.condition.wait(WAITED_S)

    def check(self) -> int:
        for _ in range(2):
            with self.condition:
                self.condition.notify()
        for each in self.bystanders:
            assert heard(each)
        return 0


class LastParty(Scene):
    """0: it has not come; 1: it came and broke the barrier; 2: the others have passed."""

    ends = 2

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.barrier = Barrier(2)
        self.bystander = self.asleep(says, self._pass)

    def _pass(self) -> bool:
        try:
            self.barrier.wait()
        except BrokenBarrierError:
            return False
        return True

    def strike(self) -> None:
        self.barrier.wait()

    def check(self) -> int:
        if self.barrier.broken:
            assert heard(self.bystander) is False
            self.barrier.reset()
            done = 1
        elif self.barrier.n_waiting:
            self.barrier.wait(GO_ON_S)
            assert heard(self.bystander)
            done = 0
        else:
            assert heard(self.bystander)
            done = 2
        assert (self.barrier.broken, self.barrier.n_waiting) == (False, 0)
        other = self.crew.start(says, self._pass)
        self.barrier.wait(GO_ON_S)
        assert heard(other)
        return done


class Read(Scene):
    ends = 0

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.lock = RWLock()

    def strike(self) -> None:
        assert self.lock.acquire_read()

    def check(self) -> int:
        assert self.lock.acquire_write(timeout=GO_ON_S)
        recovered = self.lock.recovered
        self.lock.release_write()
        assert self.lock.acquire_read(timeout=GO_ON_S)
        self.lock.release_read()
        assert self.lock._state() == (0, 0)
        return int(recovered)


class ReadEnd(Read):
    def warm(self) -> None:
        assert self.lock.acquire_read()

    def strike(self) -> None:
        self.lock.release_read()


class Write(Read):
    ends = 1

    def strike(self) -> None:
        assert self.lock.acquire_write()


class WriteEnd(Read):
    ends = 1

    def warm(self) -> None:
        assert self.lock.acquire_write()

    def strike(self) -> None:
        self.lock.release_write()

    def check(self) -> int:
        return 1 - super().check()


class BuryWriter(Write):
    """A writer is dead, and who buries it dies too: the next is told in any case."""

    begins = 1

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        crew.start(says, self.lock.acquire_write).ended(GO_ON_S)


class BuryReader(Write):
    """As `BuryWriter`, of a dead reader: nobody need be told of that one."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        crew.start(says, self.lock.acquire_read).ended(GO_ON_S)


class WriteInVain(Read):
    """Somebody reads, and the victim stands in the queue for a moment."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.lock.acquire_read()

    def strike(self) -> None:
        assert not self.lock.acquire_write(timeout=WAITED_S)

    def check(self) -> int:
        self.lock.release_read()
        return super().check()


class WriteEndWaited(WriteEnd):
    """Another waits to read; it must get in without anybody else's doing."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self._gates = [os.pipe(), os.pipe()]

    def warm(self) -> None:
        super().warm()
        os.write(self._gates[0][1], b".")
        os.read(self._gates[1][0], 1)

    def arranged(self) -> None:
        os.read(self._gates[0][0], 1)
        self.bystander = self.asleep(says, self._read)
        os.write(self._gates[1][1], b".")

    def _read(self) -> bool:
        with self.lock.read():
            return True

    def check(self) -> int:
        assert heard(self.bystander)
        for gate in self._gates:
            for fd in gate:
                os.close(fd)
        return super().check()


class ReadEndWaited(Read):
    """Another waits to write; it must get in once the last reader has left."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self._gates = [os.pipe(), os.pipe()]

    def warm(self) -> None:
        assert self.lock.acquire_read()
        os.write(self._gates[0][1], b".")
        os.read(self._gates[1][0], 1)

    def arranged(self) -> None:
        os.read(self._gates[0][0], 1)
        self.bystander = self.asleep(says, self._write)
        os.write(self._gates[1][1], b".")

    def _write(self) -> bool:
        with self.lock.write():
            return True

    def strike(self) -> None:
        self.lock.release_read()

    def check(self) -> int:
        assert heard(self.bystander)
        for gate in self._gates:
            for fd in gate:
                os.close(fd)
        return super().check()


FIRST_TO_RUN: list[type[Scene]] = [
    Acquire, Release, RAcquire, RRelease, ReleaseWaited, TakeOver, SetEvent, SemAcquire, SemRelease, SemLeave, Notify, LastParty, Write, WriteEnd,
]  # fmt: skip
FURTHER: list[type[Scene]] = [
    RAcquireTwice, AcquireInVain, ClearEvent, WaitEvent, SemEnter, SemReleaseWaited, WaitCondition, Read, ReadEnd, BuryWriter, BuryReader, WriteInVain, WriteEndWaited, ReadEndWaited,
    *(repaired(kind, after) for kind in (SemAcquire, SemRelease, Write) for after in (False, True)),
]  # fmt: skip
