"""The seats of a queue's round: who puts and who gets, each operation in the ledger."""

from __future__ import annotations

import os
import random
import time
from typing import Any

from chaos import items, ledger
from chaos.ledger import ACK, DONE, GET, ITEM, NACK, PUT, TAKE, Pen
from chaos.plan import QUIET, Plan, generator

MANY = 32
_BURST = 24
_MOST_AHEAD = 1500


class Pace:
    """When a seat rests: in quiet rounds after each operation, in busy ones after some."""

    def __init__(self, plan: Plan, pen: Pen) -> None:
        self.plan = plan
        self._rng: random.Random = generator(plan.seed, plan.number, pen.seat, pen.incarnation)
        self._quiet = plan.pace == QUIET
        self._left = self._rng.randint(1, _BURST)

    def hold(self) -> None:
        """In a quiet round, keep what was acquired for a while, so that others sleep until it is given up."""
        if self._quiet:
            time.sleep(self._rng.uniform(0.001, 0.02))

    def tick(self, weight: int = 1, *, starts: bool = True) -> None:
        """An operation is done.

        Args:
            weight: how many items it was for.
            starts: whether others wait for this seat's operations: in a quiet round it makes them wait.
        """
        self._left -= weight
        if self._quiet:
            if starts:
                time.sleep(self._rng.uniform(0.02, 0.3))
        elif self._left <= 0:
            self._left = self._rng.randint(1, _BURST)
            time.sleep(self._rng.uniform(0.001, 0.007))

    def draw(self, most: int) -> int:
        """A number from 1 to `most`."""
        return self._rng.randint(1, most)


def shape_of(subject: str) -> str:
    """What kind of items a queue of that name gets."""
    return {"Queue": items.MIXED, "large messages": items.LARGE}.get(subject, items.SMALL)


def produce(queue: Any, plan: Plan, pen: Pen) -> None:
    """Put until the round drains."""
    pace, shape, count = Pace(plan, pen), shape_of(plan.subject), 0
    while pen.is_running():
        many = 1
        if plan.subject == "put_many/get_many":
            many = pace.draw(MANY)
            batch = [items.number(pen.seat, pen.incarnation, count + turn) for turn in range(many)]
            pen.begin(PUT, batch[0], many)
            queue.put_many(batch)
            pen.end()
            count += many
        else:
            _put(queue, items.number(pen.seat, pen.incarnation, count), shape, plan, pen)
            count += 1
        if plan.subject == "SimpleQueue":
            _wait_for_readers(pen)
        pace.tick(many)


def _put(queue: Any, item: int, shape: str, plan: Plan, pen: Pen) -> None:
    begun = False
    try:
        obj = items.make(item, shape)
        pen.begin(PUT, item, 1)
        begun = True
        queue.put(obj)
        pen.end()
    except (MemoryError, OSError):
        if not plan.limits:
            raise
        if begun:
            pen.end(ledger.REFUSED)


def _wait_for_readers(pen: Pen) -> None:
    """An unbounded queue must not outgrow the ledger."""
    words, places = pen.ledger.words, [pen.ledger.at(seat, ledger.COUNT) for seat in range(pen.ledger.seats - 1)]
    half = len(places) // 2
    while (
        sum(words[at] for at in places[:half]) - sum(words[at] for at in places[half:]) > _MOST_AHEAD
        and pen.is_running()
    ):
        time.sleep(0.001)


def consume(queue: Any, plan: Plan, pen: Pen) -> None:
    """Get until the last item comes."""
    loop = {"TaskQueue": _lease, "put_many/get_many": _get_many}.get(plan.subject, _get)
    pace = Pace(plan, pen)
    while loop(queue, plan, pen, pace):
        pace.tick(starts=False)
        pen.wait_for_room()


def flags_of(item: int) -> int:
    """What is to be said of the item in the ledger."""
    return ledger.CORRUPT if item == items.CORRUPT_ITEM else 0


def _get(queue: Any, plan: Plan, pen: Pen, _pace: Pace) -> bool:
    pen.begin(GET, 0, 1)
    try:
        obj = queue.get()
    except (MemoryError, OSError):
        if not plan.limits:
            raise
        pen.end(ledger.REFUSED)
        # What it has no memory to map it will not have later either: another process must take it.
        return False
    item = items.read(obj)
    pen.end_with(item, flags_of(item))
    if plan.subject == "JoinableQueue":
        pen.begin(DONE, item)
        queue.task_done()
        pen.end()
    return item != items.LAST


def _get_many(queue: Any, _plan: Plan, pen: Pen, _pace: Pace) -> bool:
    pen.begin(GET, 0, MANY)
    got = [items.read(obj) for obj in queue.get_many(MANY)]
    head = pen._at
    start = pen.ledger.words[head + 2]
    more = True
    for item in got:
        if item == items.LAST:
            if not more:
                queue.put(None)  # another's
            more = False
        else:
            pen.note(ITEM, item, flags_of(item), start)
    pen._at = head
    pen.end_with(len(got))
    return more


def _lease(queue: Any, _plan: Plan, pen: Pen, pace: Pace) -> bool:
    pen.begin(TAKE)
    lease = queue.take()
    item = items.read(lease.item)
    pen.end_with(item, flags_of(item), lease.deliveries)
    turn = pace.draw(16)
    if turn == 1:
        time.sleep(0.002)
    if turn == 2 and item != items.LAST:
        pen.begin(NACK, item)
        lease.nack()
        pen.end()
    else:
        pen.begin(ACK, item)
        lease.ack()
        pen.end()
    return item != items.LAST


def put_last(queue: Any, consumers: int) -> None:
    """Tell that many consumers that the stream is over."""
    for _ in range(consumers):
        queue.put(None)


def drain(queue: Any, plan: Plan, pen: Pen, get: Any) -> None:
    """The main process takes what nobody took.

    Args:
        queue: the queue.
        plan: the round.
        pen: of the main process.
        get: waits a moment for an item, and raises queue.Empty.
    """
    from queue import Empty

    while True:
        try:
            if plan.subject == "TaskQueue":
                pen.begin(TAKE)
                lease = queue.take(timeout=0.3)
                item = items.read(lease.item)
                pen.end_with(item, flags_of(item), lease.deliveries)
                pen.begin(ACK, item)
                lease.ack()
                pen.end()
            else:
                pen.begin(GET, 0, 1)
                item = items.read(get(queue))
                pen.end_with(item, flags_of(item))
        except Empty:
            pen.end(ledger.REFUSED)
            if plan.subject == "TaskQueue" and queue.leased() + queue.returned():
                continue
            return


def few_means() -> None:
    """Little memory and few descriptors more than this process has now."""
    import resource

    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    files = len(os.listdir("/proc/self/fd")) + 8
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
