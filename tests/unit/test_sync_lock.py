"""Lock, RLock and Event in one process and a few: meaning, texts, bad input, travelling."""

from __future__ import annotations

import ctypes
import multiprocessing
import pickle
import threading
from multiprocessing.sharedctypes import synchronized
from typing import Any

import pytest
from helpers.procfs import descriptors
from helpers.world import world

from hardy._core import memory
from hardy.errors import AttachError, ForeignHandle
from hardy.synchronize import (
    Barrier,
    BoundedSemaphore,
    Condition,
    Event,
    Lock,
    NamedLock,
    RLock,
    RWLock,
    Semaphore,
)

LOCKS = [Lock, RLock]
EVERY: dict[str, Any] = {
    "Lock": Lock,
    "RLock": RLock,
    "Event": Event,
    "Semaphore": Semaphore,
    "BoundedSemaphore": BoundedSemaphore,
    "Condition": Condition,
    "Barrier": lambda **kwargs: Barrier(2, **kwargs),
    "RWLock": RWLock,
}


def in_thread(work: Any) -> Any:
    """What `work()` gives in another thread."""
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(work()), name="T1")
    thread.start()
    thread.join()
    return given[0]


@pytest.mark.parametrize("kind", LOCKS)
def test_lock_excludes_others_when_held(kind: type[Lock | RLock]) -> None:
    """One thread holds it; another gets False, at once or when its time is over."""
    lock = kind()

    assert lock.acquire()
    assert lock.locked()
    assert not in_thread(lambda: lock.acquire(False))
    assert not in_thread(lambda: lock.acquire(timeout=0.02))
    assert not in_thread(lambda: lock.acquire(True, -1))
    lock.release()
    assert not lock.locked()


@pytest.mark.parametrize("kind", LOCKS)
def test_lock_is_released_when_its_block_raises(kind: type[Lock | RLock]) -> None:
    """`with` gives the lock back whatever happens inside."""
    lock = kind()

    with pytest.raises(KeyError), lock:
        raise KeyError

    assert not lock.locked()


def test_lock_may_be_released_when_another_acquired_it() -> None:
    """Any thread or process may release, as in the standard library."""
    lock = Lock()
    lock.acquire()

    with world() as w:
        assert w.fork(lambda _: lock.release()).ends() == 0

    assert not lock.locked()


def test_lock_raises_value_error_when_nobody_holds_it() -> None:
    """The text is the standard library's."""
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        Lock().release()


def release_text(lock: RLock) -> str:
    with pytest.raises(AssertionError) as caught:
        lock.release()
    return str(caught.value)


def test_rlock_is_free_when_released_as_often_as_acquired() -> None:
    """It counts; another thread may not release it."""
    lock = RLock()
    lock.acquire()
    lock.acquire()

    lock.release()
    assert lock.locked()
    assert in_thread(lambda: release_text(lock)) == "attempt to release recursive lock not owned by thread"
    lock.release()
    assert not lock.locked()
    with pytest.raises(AssertionError):
        lock.release()


def test_repr_names_the_owner_when_there_is_one() -> None:
    """The texts are the standard library's."""
    lock, rlock = Lock(), RLock()
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"

    lock.acquire()
    rlock.acquire()
    rlock.acquire()

    name = multiprocessing.current_process().name
    assert repr(lock) == f"<Lock(owner={name})>"
    assert repr(rlock) == f"<RLock({name}, 2)>"
    assert in_thread(lambda: repr(lock)) == "<Lock(owner=SomeOtherThread)>"
    assert in_thread(lambda: repr(rlock)) == "<RLock(SomeOtherThread, nonzero)>"
    lock.release()
    with world() as w:
        child = w.fork(lambda c: (lock.acquire(), c.told()))
        child.comes()
        assert repr(lock) == "<Lock(owner=SomeOtherProcess)>"
    assert in_thread(lambda: repr((other := Lock(), other.acquire())[0])) == f"<Lock(owner={name}|T1)>"


def test_event_wait_returns_when_set() -> None:
    """True once the flag is up, False when the time is over first."""
    event = Event()

    assert not event.is_set()
    assert not event.wait(0.01)
    event.set()
    event.set()
    assert event.is_set()
    assert event.wait()
    assert repr(event) == f"<Event at {id(event):#x} set>"
    event.clear()
    assert not event.wait(0)


@pytest.mark.parametrize("make", [make for name, make in EVERY.items() if name not in ("Condition", "Barrier")])
def test_handle_leads_to_the_same_object_when_pickled(make: Any) -> None:
    """Pickling is allowed at any time, and keeps name and attributes."""
    made = make(name="stock")
    made.colour = "red"

    other = pickle.loads(pickle.dumps(made))

    assert other.name == "stock"
    assert other.colour == "red"
    assert (other.cell.segment, other.cell.offset) == (made.cell.segment, made.cell.offset)


def test_lock_is_shared_when_its_handle_was_pickled() -> None:
    """What one handle holds, the other finds held; a Condition takes its lock along."""
    condition = Condition(Lock())
    other = pickle.loads(pickle.dumps(condition))

    with condition:
        assert not other.acquire(False)

    assert other.acquire(False)
    other.release()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_every_object_reaches_a_process_when_passed_as_an_argument(method: str) -> None:
    """Under each start method of the standard library."""
    context = multiprocessing.get_context(method)
    lock, event, barrier = Lock(), Event(), Barrier(2)

    process = context.Process(target=_take_part, args=(lock, event, barrier), daemon=True)
    process.start()
    assert event.wait(20)
    assert not lock.acquire(False)
    barrier.wait(20)

    process.join(20)
    assert process.exitcode == 0
    assert lock.acquire(timeout=5)
    process.close()


def _take_part(lock: Lock, event: Event, barrier: Barrier) -> None:
    with lock:
        event.set()
        barrier.wait(20)


def test_ten_thousand_locks_cost_few_descriptors() -> None:
    """Locks are cells of shared slabs."""
    before = len(descriptors())

    locks = [Lock() for _ in range(10_000)]

    assert len(descriptors()) - before <= 4
    assert len({(lock.cell.segment, lock.cell.offset) for lock in locks}) == 10_000


@pytest.mark.parametrize("kind", LOCKS)
@pytest.mark.parametrize("timeout", ["1", [], object()])
def test_acquire_raises_type_error_when_timeout_is_no_number(kind: type[Lock | RLock], timeout: Any) -> None:
    """At the call, and also when the lock is free."""
    lock = kind()

    with pytest.raises(TypeError):
        lock.acquire(timeout=timeout)

    assert not lock.locked()


@pytest.mark.parametrize("make", [*EVERY.values(), NamedLock])
def test_init_raises_type_error_when_name_is_no_text(make: Any) -> None:
    """Names are for messages."""
    with pytest.raises(TypeError):
        make(name=7)


def test_init_raises_value_error_when_on_owner_death_is_unknown() -> None:
    """There are two answers."""
    with pytest.raises(ValueError, match="on_owner_death"):
        Lock(on_owner_death="ignore")


def test_operation_raises_when_init_was_not_called() -> None:
    """A subclass that forgets super().__init__() gets an error that says so, not a crash."""

    class Forgetful(Lock):
        def __init__(self) -> None:
            pass

    with pytest.raises(ForeignHandle, match=r"super\(\).__init__"):
        Forgetful().acquire()


def test_attach_raises_when_the_cell_holds_something_else() -> None:
    """A handle that leads to another kind of object is refused."""
    event = Event()
    lock = Lock.__new__(Lock)

    with pytest.raises(AttachError, match="something else"):
        lock._adopt(event.cell, None)
    with pytest.raises(AttachError):
        memory.cell_at(event.cell.segment, 1 << 30, 64)


def test_lock_works_with_the_standard_librarys_code() -> None:
    """It has what multiprocessing's own modules ask of a lock."""
    lock = RLock(ctx=multiprocessing.get_context())
    value = synchronized(ctypes.c_int(0), lock=lock)

    with value.get_lock():
        value.value += 1
        assert lock._semlock._is_mine()
        assert lock._semlock._count() == 1
        assert lock._semlock._is_zero()

    assert value.value == 1
    assert not lock._semlock._is_zero()
