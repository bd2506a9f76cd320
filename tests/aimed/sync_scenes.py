"""What a process does with a lock, an event or a semaphore when it dies at an instruction of it."""

from __future__ import annotations

import mmap
import os
from typing import Any

from aimed.scene import GO_ON_S, Scene, heard, repaired, says
from helpers.crew import Crew

from hardy import Event, Lock, RLock, Semaphore
from hardy._core import look

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
        self.gate, self._sleeps = self.pipe()
        self._holds, self.held = self.pipe()

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


def permits_on_record(semaphore: Semaphore) -> int:
    """Of the processes of all rows, read from outside: nobody is swept, nothing mended."""
    cell = semaphore.cell
    with mmap.mmap(cell.segment.fd, 0, prot=mmap.PROT_READ) as memory:
        (found,) = (one for one in look.read_slab(memory) if one["place"] == cell.offset)
    return sum(held for _, held in found["holders"])


class SemAcquire(Scene):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.semaphore = Semaphore(3)

    def strike(self) -> None:
        assert self.semaphore.acquire()

    def check(self) -> int:
        value = self.semaphore.get_value()
        # The sweep of a dead holder derives the value anew: it must be what the repair had left.
        self.crew.start(says, self.semaphore.__enter__).ended(GO_ON_S)
        assert self.semaphore.get_value() == value
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
    """What is taken by `with` is on record, and comes back."""

    def strike(self) -> None:
        self.semaphore.__enter__()

    def check(self) -> int:
        held = permits_on_record(self.semaphore)
        assert super().check() == 0
        return held


class SemLeave(SemEnter):
    def warm(self) -> None:
        self.semaphore.__enter__()

    def strike(self) -> None:
        self.semaphore.__exit__(None, None, None)

    def check(self) -> int:
        return 1 - super().check()


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


FIRST_TO_RUN: list[type[Scene]] = [
    Acquire, Release, RAcquire, RRelease, ReleaseWaited, TakeOver, SetEvent, SemAcquire, SemRelease, SemLeave,
]  # fmt: skip
FURTHER: list[type[Scene]] = [
    RAcquireTwice, AcquireInVain, ClearEvent, WaitEvent, SemEnter, SemReleaseWaited,
    *(repaired(kind, after) for kind in (SemEnter,) for after in (False, True)),
]  # fmt: skip
