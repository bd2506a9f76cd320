"""The ledger's judgement, on records written by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from chaos import fates, ledger, plan
from chaos.items import CORRUPT_ITEM, number
from chaos.items import make as make_item
from chaos.items import read as read_item
from chaos.ledger import ACK, GET, NOTICED, PUT, TAKE, Ledger, Pen

PRODUCER, CONSUMER, OTHER, MAIN = range(4)


class Book:
    """A ledger and a pen a seat."""

    def __init__(self) -> None:
        self.ledger = Ledger(4, 64)
        self.pens = [Pen(self.ledger, seat, 1) for seat in range(4)]

    def put(self, count: int, *, returns: bool = True) -> int:
        item = number(PRODUCER, 1, count)
        self.pens[PRODUCER].begin(PUT, item, 1)
        if returns:
            self.pens[PRODUCER].end()
        return item

    def get(self, item: int, seat: int = CONSUMER, flags: int = 0) -> None:
        self.pens[seat].begin(GET, 0, 1)
        self.pens[seat].end_with(item, flags)

    def take(self, item: int, deliveries: int, seat: int = CONSUMER, *, ack: bool = True) -> None:
        self.pens[seat].begin(TAKE)
        self.pens[seat].end_with(item, 0, deliveries)
        if ack:
            self.pens[seat].begin(ACK, item)
            self.pens[seat].end()

    def dies(self, seat: int, *, inside: bool) -> None:
        if inside:
            self.pens[seat].begin(GET, 0, 1)
        self.pens[MAIN].note(NOTICED, seat << 32 | 1)

    def judge(self, **killed: Any) -> fates.Fates:
        return fates.judge(self.ledger, range(1), range(1, 4), drained=True, **killed)


@pytest.fixture
def book() -> Iterator[Book]:
    made = Book()
    yield made
    made.ledger.close()


def bad(judged: fates.Fates) -> dict[str, int]:
    """What is wrong."""
    kinds = ("lost", "doubled", "corrupt", "out of order")
    return {kind: judged.counts[kind] for kind in kinds if judged.counts[kind]}


def test_fates_are_good_when_each_item_comes_once(book: Book) -> None:
    """In equals out, and nothing is wrong."""
    for count in range(3):
        book.get(book.put(count))

    judged = book.judge()

    assert bad(judged) == {}
    assert judged.counts["in"] == judged.counts["out"] == 3


def test_a_missing_item_is_held_by_the_consumer_that_died_inside_get(book: Book) -> None:
    """It is not lost, and the holder is named."""
    book.put(0)
    book.dies(CONSUMER, inside=True)
    book.get(book.put(1), OTHER)

    judged = book.judge()

    assert bad(judged) == {}
    assert judged.counts["held by the dead"] == 1
    assert judged.named == ["item 0 of producer 0 (life 1): consumer 1 (life 1)"]


def test_a_missing_item_is_lost_when_nobody_died_inside_get(book: Book) -> None:
    """A consumer that died between two calls had nothing in hand."""
    book.put(0)
    book.dies(CONSUMER, inside=False)

    assert bad(book.judge()) == {"lost": 1}


def test_a_missing_item_is_lost_when_the_only_dead_consumer_has_another(book: Book) -> None:
    """One get gives one item: two missing ones are one too many."""
    book.put(0)
    book.put(1)
    book.dies(CONSUMER, inside=True)

    assert bad(book.judge()) == {"lost": 1}


def test_a_missing_item_is_lost_when_its_consumer_had_died_before_it_was_put(book: Book) -> None:
    """Who is dead takes nothing."""
    book.dies(CONSUMER, inside=True)
    book.put(0)

    assert bad(book.judge()) == {"lost": 1}


def test_an_item_may_be_missing_when_its_put_was_cut_short(book: Book) -> None:
    """A put that did not return has put or has not."""
    book.put(0, returns=False)

    assert bad(book.judge()) == {}


def test_an_item_that_comes_twice_is_doubled(book: Book) -> None:
    """Delivered once means once."""
    item = book.put(0)
    book.get(item)
    book.get(item, OTHER)

    assert bad(book.judge()) == {"doubled": 1}


def test_an_item_that_nobody_put_is_corrupt(book: Book) -> None:
    """Neither an unknown number nor a mangled object passes."""
    book.get(number(PRODUCER, 1, 7))
    book.get(CORRUPT_ITEM, OTHER, ledger.CORRUPT)

    assert bad(book.judge()) == {"corrupt": 2}


def test_items_are_out_of_order_when_a_later_one_had_come_before_the_get_began(book: Book) -> None:
    """Also when two consumers got them."""
    first, second = book.put(0), book.put(1)
    book.get(second)
    book.get(first, OTHER)

    assert bad(book.judge()) == {"out of order": 1}


def test_a_lease_may_be_given_again_when_its_holder_died_and_it_is_marked(book: Book) -> None:
    """Redelivered, not doubled."""
    item = book.put(0)
    book.take(item, 1, ack=False)
    book.dies(CONSUMER, inside=False)
    book.take(item, 2, OTHER)

    judged = book.judge()

    assert bad(judged) == {}
    assert judged.counts["redelivered"] == 1


@pytest.mark.parametrize(("deliveries", "holder_dies"), [(1, True), (2, False)])
def test_a_lease_given_again_is_doubled_when_unmarked_or_its_holder_lives(
    book: Book, deliveries: int, holder_dies: bool
) -> None:
    """The mark is what tells a second delivery from a second item; a living holder keeps its lease."""
    item = book.put(0)
    book.take(item, 1, ack=False)
    if holder_dies:
        book.dies(CONSUMER, inside=False)
    book.take(item, deliveries, OTHER)

    assert bad(book.judge()) == {"doubled": 1}


def test_a_lease_may_be_given_again_when_nobody_could_notice_its_holders_death(book: Book) -> None:
    """The main process notices, until it is killed itself: then the killer's own list counts, and its own death."""
    item = book.put(0)
    book.take(item, 1, ack=False)
    between = time.monotonic_ns()
    book.take(item, 2, OTHER)

    assert bad(book.judge(killed={(CONSUMER, 1): between})) == {}
    assert bad(book.judge(killed={(PRODUCER, 1): between})) == {"doubled": 1}
    assert bad(book.judge(main_killed=between)) == {}
    assert bad(book.judge(main_killed=time.monotonic_ns())) == {"doubled": 1}


def test_a_lease_is_doubled_when_it_comes_after_its_acknowledgement(book: Book) -> None:
    """`ack` that returned is the end of the item."""
    item = book.put(0)
    book.take(item, 1)
    book.take(item, 2, OTHER, ack=False)

    assert bad(book.judge())["doubled"] >= 1


def test_a_leased_item_is_lost_when_nobody_ever_acknowledged_it(book: Book) -> None:
    """A dead holder is no excuse: its item goes to another."""
    book.take(book.put(0), 1, ack=False)
    book.dies(CONSUMER, inside=False)

    assert bad(book.judge()) == {"lost": 1}


def test_an_item_waits_when_a_consumer_was_there_before_it(book: Book) -> None:
    """The time from a put to the get that had been waiting; not that of a queue in which items wait for consumers."""
    book.get(book.put(0))
    alone = book.judge().slowest_s
    book.pens[OTHER].begin(GET, 0, 1)
    item = book.put(1)
    book.pens[OTHER].end_with(item)

    assert alone == 0
    assert book.judge().slowest_s > 0


@pytest.mark.parametrize("shape", ["small", "mixed", "large"])
def test_an_item_is_read_as_it_was_made(shape: str) -> None:
    """Every shape names its item."""
    for count in range(10):
        item = number(3, 2, count)
        assert read_item(make_item(item, shape)) == item


def test_an_item_put_together_from_two_is_corrupt() -> None:
    """Half of one and half of another is neither."""
    one, two = (make_item(number(0, 1, count), "large") for count in (4, 8))

    assert read_item(one[:500] + two[500:]) == CORRUPT_ITEM


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    """Who is killed how, and when in terms of steps, follows from the seed and the number of the round."""

    def draw(seed: int) -> plan.Plan:
        return plan.draw_plan(seed, 4, "hardy", "Queue", 8, 60, can_nest=True)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


@pytest.mark.parametrize(("lost", "is_right"), [(0, False), (1, True), (2, True), (3, False)])
def test_tasks_that_join_calls_lost_are_those_of_the_dead(book: Book, lost: int, is_right: bool) -> None:
    """One died between get and task_done; another inside get, and may have had one."""
    book.get(book.put(0))
    book.dies(CONSUMER, inside=False)
    book.dies(OTHER, inside=True)
    book.ledger.words[ledger.TASKS_LOST] = lost

    assert (fates.judge_tasks(book.ledger, range(1, 3)) == "") == is_right
