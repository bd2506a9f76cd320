"""The seats of a lock's round. What a lock guards are words of the ledger, which tell whether it guarded them.

`OWNER` is written by whoever holds the lock alone; `FIRST` and `SECOND` are always equal when nobody is inside. What
several may hold at once has a word a seat (`HOLDS`): each seat looks at all of them twice, and what it finds unchanged
was held all the while in between.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from chaos import ledger
from chaos.ledger import (
    ACQUIRE,
    BROKEN,
    FIRST,
    HOLDS,
    NOT_ALONE,
    OWNER,
    RECOVERED,
    RELEASE,
    SECOND,
    SET,
    TOKENS,
    TORN,
    UNMARKED,
    WAIT,
    Pen,
)
from chaos.plan import Plan
from chaos.queue_seats import Pace
from chaos.victims import is_alive

PARTIES = 4
PERMITS = {"Semaphore": 2, "BoundedSemaphore": 3}
_WRITES = 1


def work(shared: Any, plan: Plan, pen: Pen) -> None:
    """One cycle after another until the round drains, and one more."""
    cycle = _CYCLES[plan.subject]
    pace = Pace(plan, pen)
    starts = {"Event": pen.seat < 2, "Condition": pen.seat % 2 == 0}.get(plan.subject, False)
    while pen.is_running():
        cycle(shared, pace, pen)
        pace.tick(starts=starts)
    pen.wait_for_room()
    cycle(shared, pace, pen)


def _inside_alone(pen: Pen, recovered: bool, *, tells: bool = True) -> int:
    """What one who holds a lock alone finds and does; the flags for the ledger."""
    words, me = pen.ledger.words, os.getpid()
    flags, before = RECOVERED if recovered else 0, words[OWNER]
    if before and is_alive(before) and before != me:
        flags |= NOT_ALONE
    elif before and not recovered and tells:
        flags |= UNMARKED
    words[OWNER] = me
    if words[FIRST] != words[SECOND]:
        if not before:
            flags |= TORN
        words[SECOND] = words[FIRST]
    words[FIRST] += 1
    words[SECOND] += 1
    return flags


def _leave_alone(pen: Pen) -> int:
    words = pen.ledger.words
    flags = 0 if words[OWNER] == os.getpid() else NOT_ALONE
    words[OWNER] = 0
    return flags


def _lock(shared: Any, pace: Pace, pen: Pen) -> None:
    tells = pace.plan.subject != "NamedLock"
    pen.begin(ACQUIRE)
    shared.acquire()
    pen.end(_inside_alone(pen, bool(getattr(shared, "recovered", False)), tells=tells))
    pace.hold()
    if flags := _leave_alone(pen):
        pen.end(flags)
    pen.begin(RELEASE)
    shared.release()
    pen.end()


def _rlock(shared: Any, pace: Pace, pen: Pen) -> None:
    pen.begin(ACQUIRE)
    shared.acquire()
    flags = _inside_alone(pen, bool(getattr(shared, "recovered", False)))
    pen.end(flags)
    shared.acquire()
    pace.hold()
    shared.release()
    if flags := _leave_alone(pen):
        pen.end(flags)
    pen.begin(RELEASE)
    shared.release()
    pen.end()


def _held_together(pen: Pen) -> dict[int, int]:
    """The seats that hold something now, with their words: seen twice, and alive."""
    words, seats = pen.ledger.words, range(pen.ledger.seats - 1)
    once = {seat: words[HOLDS + seat] for seat in seats if words[HOLDS + seat]}
    pids = {seat: pen.ledger.seat_word(seat, ledger.PID) for seat in once}
    return {
        seat: word
        for seat, word in once.items()
        if words[HOLDS + seat] == word and pen.ledger.seat_word(seat, ledger.PID) == pids[seat]
    }


def _living(pen: Pen, held: dict[int, int]) -> dict[int, int]:
    """Those of them that live, and still hold the same."""
    words = pen.ledger.words
    alive = {seat for seat in held if is_alive(pen.ledger.seat_word(seat, ledger.PID))}
    return {seat: word for seat, word in held.items() if seat in alive and words[HOLDS + seat] == word}


def _say_held(pen: Pen, kind: int) -> None:
    # Another word each time: one who looks twice sees that it was given up in between.
    pen.ledger.words[HOLDS + pen.seat] = time.monotonic_ns() << 1 | kind


def _semaphore(shared: Any, pace: Pace, pen: Pen) -> None:
    pen.begin(ACQUIRE)
    with shared:
        try:
            _say_held(pen, 0)
            permits = PERMITS[pace.plan.subject]
            held = _held_together(pen)
            crowded = len(held) > permits and len(_living(pen, held)) > permits
            pen.end(NOT_ALONE if crowded else 0)
            pace.hold()
        finally:
            # SIGTERM may raise here: the permit is given back then, and the process still lives for a while.
            pen.ledger.words[HOLDS + pen.seat] = 0
        pen.begin(RELEASE)
    pen.end()


def _rwlock(shared: Any, pace: Pace, pen: Pen) -> None:
    writes = pen.ledger.seat_word(pen.seat, ledger.COUNT) % 4 < 2 and pen.seat % 2 == 0
    pen.begin(ACQUIRE)
    (shared.acquire_write if writes else shared.acquire_read)()
    _say_held(pen, _WRITES if writes else 0)
    held = _held_together(pen)
    flags = RECOVERED if shared.recovered else 0
    wrong = len(held) > 1 if writes else any(word & _WRITES for word in held.values())
    if wrong:
        held = _living(pen, held)
        if len(held) > 1 if writes else any(word & _WRITES for word in held.values()):
            flags |= NOT_ALONE
    words = pen.ledger.words
    if words[FIRST] != words[SECOND]:
        if not shared.recovered:
            flags |= TORN
        if writes:
            words[SECOND] = words[FIRST]
    if writes:
        words[FIRST] += 1
        words[SECOND] += 1
    pen.end(flags)
    pace.hold()
    words[HOLDS + pen.seat] = 0
    pen.begin(RELEASE)
    (shared.release_write if writes else shared.release_read)()
    pen.end()


def _condition(shared: Any, pace: Pace, pen: Pen) -> None:
    """Half of the seats make tokens and notify, the others wait for tokens."""
    words = pen.ledger.words
    lock = shared._lock
    gives = pen.seat % 2 == 0
    pen.begin(ACQUIRE)
    shared.acquire()
    # Also one who is about to wait settles what the dead left: the next after it is not told of them.
    flags = _inside_alone(pen, lock.recovered)
    if lock.recovered:
        shared.notify_all()  # who died may have owed it
    if gives:
        words[TOKENS] += 1
        shared.notify()
    flags |= _leave_alone(pen)
    pen.end(flags)
    if not gives:
        pen.begin(WAIT)
        flags = 0
        while not words[TOKENS] and pen.is_running():
            shared.wait()
            flags |= _inside_alone(pen, lock.recovered) | _leave_alone(pen)
        flags |= _inside_alone(pen, lock.recovered)
        if words[TOKENS]:
            words[TOKENS] -= 1
        flags |= _leave_alone(pen)
        pen.end(flags)
    pen.begin(RELEASE)
    shared.release()
    pen.end()


def _event(shared: Any, pace: Pace, pen: Pen) -> None:
    """Two seats set and clear, the others wait."""
    if pen.seat < 2:
        pen.begin(SET)
        shared.set()
        pen.end()
        if pen.is_running():
            pen.begin(SET)
            shared.clear()
            pen.end()
    else:
        pen.begin(WAIT)
        answer = shared.wait()
        # The standard library's may say so of itself, without any kill, when `clear` follows `set` at once.
        pen.end(0 if answer or pace.plan.kit == "mp" else BROKEN)


def _barrier(shared: Any, pace: Pace, pen: Pen) -> None:
    pen.begin(WAIT)
    try:
        shared.wait()
    except threading.BrokenBarrierError:
        pen.end(ledger.REFUSED)
        # The last to come mends it; a reset that hits those who wait anew only sends them here again.
        time.sleep(0.001 * (pen.seat + 1))
        if shared.broken and pen.is_running():
            shared.reset()
    else:
        pen.end()


_CYCLES: dict[str, Callable[[Any, Pace, Pen], None]] = {
    "Lock": _lock,
    "NamedLock": _lock,
    "RLock": _rlock,
    "Semaphore": _semaphore,
    "BoundedSemaphore": _semaphore,
    "RWLock": _rwlock,
    "Condition": _condition,
    "Event": _event,
    "Barrier": _barrier,
}
SUBJECTS = tuple(_CYCLES)


def let_go(shared: Any, plan: Plan) -> None:
    """The round drains: free those who wait for somebody who no longer comes."""
    if plan.subject == "Event":
        shared.set()
    elif plan.subject == "Barrier":
        shared.abort()
    elif plan.subject == "Condition" and shared.acquire(timeout=0.5):
        shared.notify_all()
        shared.release()


def look_after(shared: Any, plan: Plan, pen: Pen) -> None:
    """All seats have ended: whether the lock is free, and all permits are back."""
    words = pen.ledger.words
    pen.begin(ACQUIRE)
    if plan.subject in PERMITS:
        taken = 0
        while taken < PERMITS[plan.subject] and shared.acquire(True, 2):
            taken += 1
        words[ledger.PERMITS_SHORT] = PERMITS[plan.subject] - taken
        for _ in range(taken):
            shared.release()
    elif plan.subject == "RWLock":
        if not shared.acquire_write(True, 2):
            words[ledger.LEFT_LOCKED] = 1
        else:
            shared.release_write()
    elif plan.subject not in ("Event", "Barrier"):
        if not shared.acquire(True, 2):
            words[ledger.LEFT_LOCKED] = 1
        else:
            shared.release()
    pen.end()
