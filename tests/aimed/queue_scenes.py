"""What a process does with a queue when it dies at an instruction of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pickle import PickleBuffer
from queue import Empty
from typing import Any

from aimed.scene import GO_ON_S, Scene, heard, repaired, says
from helpers.crew import Crew
from helpers.ring_view import ITEMS, SPACE, asks

from hardy import JoinableQueue, Queue, TaskQueue
from hardy.errors import TasksLost

FIRST, MINE, LAST = "first", "mine", "last"
BLOCK = "b" * 24_000  # two messages of this size fill a block
LARGE = "x" * 30_000  # lies outside of the blocks


def drain(queue: Any) -> list[Any]:
    """What is in the queue; then prove that it works by a message that goes through."""
    queue.put(LAST, timeout=GO_ON_S)
    found = [queue.get(timeout=GO_ON_S)]
    while found[-1] != LAST:
        found.append(queue.get(timeout=GO_ON_S))
    assert queue.qsize() == 0
    return found[:-1]


class Put(Scene):
    mine: tuple[Any, ...] = (MINE,)

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue()
        self.queue.put(FIRST)

    def strike(self) -> None:
        self.queue.put(self.mine[0])

    def check(self) -> int:
        found = drain(self.queue)
        assert found[0] == FIRST
        count, left = divmod(len(found) - 1, len(self.mine))
        assert left == 0, f"a part of what was put at once: {found}"
        assert found[1:] == list(self.mine) * count, found
        return count


class PutAgain(Put):
    """Not the first one of its process."""

    def warm(self) -> None:
        self.queue.put(0)
        assert self.queue.get() == FIRST

    def check(self) -> int:
        found = drain(self.queue)
        assert found in ([0], [0, MINE]), found
        return len(found) - 1


class PutMany(Put):
    mine = (MINE, 1, 2.5)

    def strike(self) -> None:
        assert self.queue.put_many(self.mine) == len(self.mine)


class PutLarge(Put):
    mine = (LARGE,)


class PutOverBlock(Put):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue.put_many([BLOCK, BLOCK])

    mine = (BLOCK,)

    def check(self) -> int:
        found = drain(self.queue)
        assert found[:3] == [FIRST, BLOCK, BLOCK]
        assert found[3:] in ([], [BLOCK], [BLOCK] * 2)
        return len(found) - 3


class PutWaited(Scene):
    """Another waits in get; it must have the message without a further one."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue()
        self.getter = self.asleep(says, self.queue.get)

    def strike(self) -> None:
        self.queue.put(MINE)

    def come_by(self) -> None:
        """Take the same guard, and do nothing."""
        self.queue._wait_room(0)

    def check(self) -> int:
        if self.queue.qsize():
            assert heard(self.getter) == MINE
        self.queue.put(LAST)
        got = heard(self.getter)
        rest = drain_rest(self.queue)
        assert [got, *rest] in ([MINE, LAST], [LAST]), (got, rest)
        return int(got == MINE)


class GetNews(Scene):
    """The queue is empty, and stays so until the victim has begun."""

    what = ITEMS

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue()
        # The first put of a process notes it in the head's guard, in which the victim will be.
        self.queue.put(FIRST)
        self.queue.get()

    def strike(self) -> None:
        assert self.queue.get(timeout=GO_ON_S) == MINE

    def news(self) -> None:
        """What the victim waits for."""
        self.queue.put(MINE)

    def has_asked(self) -> bool:
        """Whether anybody has ever asked to be woken."""
        return bool(asks(self.queue, self.what))

    def check(self) -> int:
        return int(drain_rest(self.queue) == [])


class PutNews(GetNews):
    """The queue is full, and stays so until the victim has begun."""

    what = SPACE

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue(1)
        self.queue.put(FIRST)

    def strike(self) -> None:
        self.queue.put(LAST, timeout=GO_ON_S)

    def news(self) -> None:
        assert self.queue.get() == FIRST

    def check(self) -> int:
        return int(drain_rest(self.queue) == [LAST])


class PutForTheDead(Scene):
    """Who waited in get was killed; three messages are put."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue()
        self.asleep(says, self.queue.get).dispose()
        crew.actors.clear()

    def strike(self) -> None:
        for _ in range(3):
            self.queue.put(MINE)

    def check(self) -> int:
        return len(drain(self.queue)) // 3


def drain_rest(queue: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(queue.get(False))
        except Empty:
            return found


class Get(Scene):
    """What was got is in the dead one's hand; nothing else may be missing."""

    content: tuple[Any, ...] = (MINE, 1, 2)
    drained = staticmethod(drain)

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue()
        self.queue.put_many(self.content)

    def strike(self) -> None:
        self.queue.get()

    def check(self) -> int:
        found = self.drained(self.queue)
        assert found == list(self.content[len(self.content) - len(found) :]), found
        return len(self.content) - len(found)


class GetAgain(Get):
    drained = staticmethod(drain_rest)

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue.put(LAST)
        self.content = (*self.content[1:], LAST)

    def warm(self) -> None:
        self.queue.get()


class GetMany(Get):
    ends = 3
    content = (FIRST, MINE, 1, 2)

    def warm(self) -> None:
        # The memory that is kept for many: how malloc comes by it is another way in each victim.
        self.queue.get_many(1)

    def strike(self) -> None:
        self.queue.get_many(3)

    def check(self) -> int:
        taken = super().check() - 1
        assert taken in (0, 3), "a part of what was taken at once"
        return taken


class GetLarge(Get):
    content = (LARGE, LARGE)


class GetView(Get):
    """As `Get`, of messages that stay where they are."""

    content = (LARGE.encode(), LARGE.encode())

    def __init__(self, crew: Crew) -> None:
        Scene.__init__(self, crew)
        self.queue = Queue()
        self.queue.put_many([PickleBuffer(each) for each in self.content])

    def strike(self) -> None:
        self.view = self.queue.get(copy=False)


class LetViewGo(GetView):
    ends = begins = 1

    def warm(self) -> None:
        super().warm()
        super().strike()

    def strike(self) -> None:
        self.view.release()
        del self.view


class GetOverBlock(Get):
    content = (BLOCK, BLOCK, BLOCK)
    ends = 3

    def strike(self) -> None:
        self.queue.get_many(3)


class GetWaited(Scene):
    """Another waits in put; it must have its room without a further get."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = Queue(1)
        self.queue.put(FIRST)
        self.putter = self.asleep(says, lambda: self.queue.put(LAST))

    def strike(self) -> None:
        assert self.queue.get() == FIRST

    def come_by(self) -> None:
        """Take the same guard, and do nothing."""
        with suppress(Empty):
            self.queue.get(False)

    def check(self) -> int:
        if self.queue.qsize() == 0:
            heard(self.putter)
        found = self.queue.get(timeout=GO_ON_S)
        heard(self.putter)
        rest = drain_rest(self.queue)
        assert [found, *rest] in ([FIRST, LAST], [LAST]), (found, rest)
        return int(found == LAST)


class Close(Put):
    def strike(self) -> None:
        self.queue.close()

    ends = 0


def items_lost(queue: Any) -> int:
    """How many objects `join` writes off; then it must return."""
    try:
        queue.join(timeout=GO_ON_S)
    except TasksLost as error:
        queue.join(timeout=GO_ON_S)
        return int(error.items)
    return 0


class TaskDone(Scene):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = JoinableQueue()
        self.queue.put(MINE)

    def warm(self) -> None:
        assert self.queue.get() == MINE

    def strike(self) -> None:
        self.queue.task_done()

    def check(self) -> int:
        lost = items_lost(self.queue)
        assert lost in (0, 1)
        return 1 - lost


class TaskDoneWaited(TaskDone):
    """Another waits in join."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.joiner = self.asleep(says, self.queue.join)

    def check(self) -> int:
        heard(self.joiner)
        return 1


class JoinableGet(Scene):
    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue = JoinableQueue()
        self.queue.put(MINE)

    def strike(self) -> None:
        self.queue.get()

    def check(self) -> int:
        rest = drain_rest(self.queue)
        for _ in rest:
            self.queue.task_done()
        lost = items_lost(self.queue)
        assert (rest, lost) in (([MINE], 0), ([], 1))
        return lost


class Take(Scene):
    """Nobody has acknowledged: the item comes again, whatever happened."""

    item: Any = MINE
    ends = 1

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.queue: TaskQueue[Any] = TaskQueue()
        self.queue.put(self.item)

    def strike(self) -> None:
        self.lease = self.queue.take()

    def check(self) -> int:
        lease = self.queue.take(timeout=GO_ON_S)
        assert lease.item == self.item
        deliveries = lease.deliveries
        lease.ack()
        self.queue.join(timeout=GO_ON_S)
        assert self.queue.leased() == self.queue.returned() == 0
        self.queue.put(LAST)
        assert self.queue.get(timeout=GO_ON_S) == LAST
        return deliveries - 1


class TakeLarge(Take):
    item = LARGE


class Ack(Take):
    def warm(self) -> None:
        self.lease = self.queue.take()

    def strike(self) -> None:
        self.lease.ack()

    def check(self) -> int:
        self.queue.put(LAST)
        found = [self.queue.get(timeout=GO_ON_S)]
        try:
            self.queue.join(timeout=0.05)
        except TimeoutError:
            found.append(self.queue.get(timeout=GO_ON_S))
        self.queue.join(timeout=GO_ON_S)
        assert sorted(found) in ([LAST], sorted([LAST, self.item])), found
        return int(found == [LAST])


class AckLarge(Ack):
    item = LARGE


class Nack(Take):
    ends = 0
    begins = 0

    def warm(self) -> None:
        self.lease = self.queue.take()

    def strike(self) -> None:
        self.lease.nack()

    def check(self) -> int:
        assert super().check() == 1
        return 0


class NackWaited(Nack):
    """Another waits in take; it must have the item without anybody else's doing."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self._gates = [self.pipe(), self.pipe()]

    def warm(self) -> None:
        super().warm()
        os.write(self._gates[0][1], b".")
        os.read(self._gates[1][0], 1)

    def arranged(self) -> None:
        os.read(self._gates[0][0], 1)
        self.taker = self.asleep(says, lambda: self.queue.take().item)
        os.write(self._gates[1][1], b".")

    def check(self) -> int:
        assert heard(self.taker) == self.item
        return 0


class AckWaited(Ack):
    """Another waits in join."""

    def __init__(self, crew: Crew) -> None:
        super().__init__(crew)
        self.joiner = self.asleep(says, self.queue.join)

    def check(self) -> int:
        heard(self.joiner)
        return 1


FIRST_TO_RUN: list[type[Scene]] = [
    Put, PutAgain, PutMany, PutLarge, PutWaited, Get, GetAgain, GetMany, GetLarge, GetWaited, Take, Ack, TaskDone,
]  # fmt: skip
FURTHER: list[type[Scene]] = [
    PutOverBlock, GetOverBlock, GetView, LetViewGo, Close, JoinableGet, TakeLarge, AckLarge, Nack,
    *(repaired(kind, after) for kind in (Put, PutLarge, PutOverBlock, Get, GetLarge) for after in (False, True)),
]  # fmt: skip
