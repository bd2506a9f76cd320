"""What a process does with a condition, a barrier or an RWLock when it dies at an instruction of it."""

from __future__ import annotations

import os
from threading import BrokenBarrierError

from aimed.scene import GO_ON_S, Scene, heard, repaired, says
from helpers.crew import Crew
from helpers.waiting import wait_until

from hardy import Barrier, Condition, Lock, RWLock

WAITED_S = 0.02


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
    adds_up = False

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
        self._gates = [self.pipe(), self.pipe()]

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
        return super().check()


class ReadEndWaited(Read):
    """Another waits to write; it must get in once the last reader has left."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self._gates = [self.pipe(), self.pipe()]

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
        return super().check()


FIRST_TO_RUN: list[type[Scene]] = [Notify, LastParty, Write, WriteEnd]
FURTHER: list[type[Scene]] = [
    WaitCondition, Read, ReadEnd, BuryWriter, BuryReader, WriteInVain, WriteEndWaited, ReadEndWaited,
    *(repaired(Write, after) for after in (False, True)),
]  # fmt: skip
