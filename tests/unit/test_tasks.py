"""TaskQueue: leases, redelivery, dead letters."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew

from hardy import CannotUnpickle, Closed, LeaseLost, TaskQueue

GO_ON_S = 2.0


def _refuse() -> None:
    raise ImportError("no such part here")


class Unbuildable:
    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, ()


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def hold_and_wait(line: Line, tasks: Any, count: int = 1) -> None:
    leases = [tasks.take() for _ in range(count)]
    line.say("took", [lease.item for lease in leases])
    signal.pause()


@pytest.mark.parametrize("item", [1, "x" * 448, b"y" * 449, bytes(24_576), bytes(100_000), bytes(20 << 20), [1, {}]])
def test_lease_gives_its_item_until_it_is_acknowledged(item: Any) -> None:
    """A leased item is counted as leased, and is gone once acknowledged."""
    tasks: TaskQueue[Any] = TaskQueue()
    tasks.put(item)

    lease = tasks.take()

    assert (lease.item, lease.deliveries, lease.sender) == (item, 1, os.getpid())
    assert (tasks.leased(), tasks.returned(), tasks.qsize()) == (1, 0, 0)
    lease.ack()
    assert (tasks.leased(), tasks.returned(), tasks.qsize()) == (0, 0, 0)
    with pytest.raises(Empty):
        tasks.take_nowait()


def test_with_block_acknowledges() -> None:
    """`with tasks.take() as item` is done with the item at its end."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)

    with tasks.take() as item:
        assert item == 1
        assert tasks.leased() == 1

    assert (tasks.leased(), tasks.returned()) == (0, 0)


def test_with_block_that_raises_gives_the_item_back() -> None:
    """The next to take gets it, first of all, with its deliveries counted up."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many([1, 2])

    with pytest.raises(ZeroDivisionError), tasks.take():
        _ = 1 / 0

    assert tasks.returned() == 1
    lease = tasks.take()
    assert (lease.item, lease.deliveries) == (1, 2)
    lease.ack()
    assert tasks.get() == 2


def test_with_block_may_settle_its_lease_itself() -> None:
    """ack() or nack() inside of the block is the last word."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)

    lease = tasks.take()
    with lease:
        lease.nack()
    lease = tasks.take()
    with suppress(ZeroDivisionError), lease:
        lease.ack()
        _ = 1 / 0

    assert (tasks.leased(), tasks.returned()) == (0, 0)


def test_items_come_back_in_their_order() -> None:
    """Of those given back, the one put first goes out first."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many(range(5))
    leases = [tasks.take() for _ in range(4)]

    for lease in reversed(leases):
        lease.nack()

    assert [tasks.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_settled_lease_is_lost() -> None:
    """A second ack or nack raises LeaseLost, and changes nothing."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many([1, 2])
    lease = tasks.take()
    lease.ack()
    other = tasks.take()

    for call in (lease.ack, lease.nack):
        with pytest.raises(LeaseLost, match="does not hold it"):
            call()

    assert tasks.leased() == 1
    other.ack()


def test_lease_is_not_the_childs(crew: Crew) -> None:
    """A child forked under a lease cannot settle it, nor does it when it drops its copy."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)
    lease = tasks.take()

    def settle(line: Line) -> None:
        try:
            lease.ack()
        except LeaseLost:
            line.say("lost")

    actor = crew.start(settle)

    assert actor.ends_well()
    assert actor.hear() == [("lost",)]
    assert tasks.leased() == 1
    lease.ack()


def test_dropped_lease_warns_and_gives_its_item_back() -> None:
    """A lease that is forgotten does not hold its item for as long as the process lives."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)
    lease = tasks.take()

    with pytest.warns(ResourceWarning, match="dropped without ack"):
        del lease

    assert tasks.returned() == 1
    assert tasks.get() == 1


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_item_goes_to_the_dead_letters_after_max_deliveries(limit: int) -> None:
    """After so many deliveries nobody gets it; join counts it as done with."""
    tasks: TaskQueue[str] = TaskQueue(max_deliveries=limit)
    tasks.put("poison")

    for delivery in range(1, limit + 1):
        lease = tasks.take_nowait()
        assert lease.deliveries == delivery
        lease.nack()

    with pytest.raises(Empty):
        tasks.take_nowait()
    tasks.join(0)
    assert [letter.item for letter in tasks.dead_letters()] == [letter.item for letter in tasks.dead_letters()]
    letters = tasks.dead_letters(clear=True)
    assert [(letter.item, letter.deliveries, letter.error) for letter in letters] == [("poison", limit, None)]
    assert tasks.dead_letters() == []


def test_item_of_dead_holders_goes_to_the_dead_letters(crew: Crew) -> None:
    """An item that kills whoever takes it ends among the dead letters."""
    tasks: TaskQueue[str] = TaskQueue(max_deliveries=3)
    tasks.put("poison")
    tasks.put("food")

    def die(line: Line) -> None:
        if tasks.take().item == "poison":
            os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(3):
        assert crew.start(die).ended(5) == signal.SIGKILL

    assert tasks.get(timeout=GO_ON_S) == "food"
    tasks.join(GO_ON_S)
    assert [(letter.item, letter.deliveries) for letter in tasks.dead_letters(clear=True)] == [("poison", 3)]


def test_item_of_a_dead_holder_goes_to_one_that_waits(crew: Crew) -> None:
    """On a quiet queue, with no other traffic, within a second or two."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many([1, 2])
    holder = crew.start(hold_and_wait, tasks, 2)
    assert holder.has_said("took", [1, 2])

    def take(line: Line) -> None:
        lease = tasks.take()
        line.say("took", lease.item, lease.deliveries)
        lease.ack()

    takers = [crew.start(take) for _ in range(2)]
    for taker in takers:
        taker.wait_asleep()
    holder.signal(signal.SIGKILL)

    assert all(taker.ends_well(GO_ON_S) for taker in takers), crew.report()
    assert sorted(taker.hear()[-1] for taker in takers) == [("took", 1, 2), ("took", 2, 2)]
    tasks.join(0)


def test_item_that_cannot_be_rebuilt_is_a_dead_letter() -> None:
    """`take` says so, the queue goes on, and the letter bears the error."""
    tasks: TaskQueue[Any] = TaskQueue()
    tasks.put_many([Unbuildable(), 2])

    with pytest.raises(CannotUnpickle, match="no such part"):
        tasks.take()

    assert tasks.get() == 2
    tasks.join(0)
    (letter,) = tasks.dead_letters(clear=True)
    assert letter.item is None
    assert letter.error is not None
    assert letter.error.pid == os.getpid()


def test_join_waits_for_the_last_acknowledgement(crew: Crew) -> None:
    """Neither a taken nor a returned item is done with."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)
    with pytest.raises(TimeoutError):
        tasks.join(0.05)
    lease = tasks.take()
    with pytest.raises(TimeoutError):
        tasks.join(0.05)
    lease.nack()
    with pytest.raises(TimeoutError):
        tasks.join(0.05)

    def join(line: Line) -> None:
        tasks.join()

    actor = crew.start(join)
    actor.wait_asleep()
    tasks.take().ack()

    assert actor.ends_well(GO_ON_S)


def test_join_ends_when_the_item_of_a_dead_holder_is_done(crew: Crew) -> None:
    """A join that waits for a dead holder's item goes on once another has done it."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put(1)
    holder = crew.start(hold_and_wait, tasks)
    assert holder.has_said("took", [1])

    def join(line: Line) -> None:
        tasks.join()

    joiner = crew.start(join)
    joiner.wait_asleep()
    holder.signal(signal.SIGKILL)
    assert tasks.get(timeout=GO_ON_S) == 1

    assert joiner.ends_well(GO_ON_S)


def test_many_leases_are_held_at_once() -> None:
    """As many as there is memory for; room is found again."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many(range(1000))

    leases = [tasks.take() for _ in range(1000)]

    assert tasks.leased() == 1000
    for lease in leases:
        lease.ack()
    assert (tasks.leased(), tasks.qsize()) == (0, 0)
    tasks.join(0)


def test_maxsize_counts_what_waits() -> None:
    """A leased item makes room; one that came back does not take room from others."""
    tasks: TaskQueue[int] = TaskQueue(1)
    tasks.put(1)

    lease = tasks.take()
    tasks.put(2, timeout=0)
    lease.nack()

    assert [tasks.get(), tasks.get()] == [1, 2]


def test_get_many_acknowledges_at_once() -> None:
    """As a plain queue."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many(range(5))

    assert tasks.get_many(3) == [0, 1, 2]
    assert tasks.get_many() == [3, 4]
    tasks.join(0)


@pytest.mark.parametrize("value", ["3", 1.5, None, True])
def test_max_deliveries_must_be_an_int(value: Any) -> None:
    """The error names the argument."""
    with pytest.raises(TypeError, match="max_deliveries"):
        TaskQueue(max_deliveries=value)
    for number in (-1, 2**32, 2**64):
        with pytest.raises(ValueError, match="max_deliveries"):
            TaskQueue(max_deliveries=number)


def test_closed_task_queue_gives_nothing() -> None:
    """take after close() in this process raises Closed; what is leased can still be settled."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many([1, 2])
    lease = tasks.take()

    tasks.close()

    with pytest.raises(Closed):
        tasks.take()
    lease.ack()
    assert tasks.leased() == 0
