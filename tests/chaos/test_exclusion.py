"""The judgement on locks, on records written by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos import exclusion, ledger
from chaos.ledger import ACQUIRE, WAIT, Ledger, Pen
from chaos.lock_seats import PARTIES


@pytest.fixture
def book() -> Iterator[Ledger]:
    made = Ledger(PARTIES + 1, 64)
    yield made
    made.close()


def judge(book: Ledger, subject: str = "Lock") -> dict[str, int]:
    return dict(exclusion.judge(book, range(PARTIES), subject, drained=True).counts)


def test_locks_are_good_when_nobody_saw_anything(book: Ledger) -> None:
    """One who was told that the last owner died is counted."""
    pen = Pen(book, 0, 1)
    pen.begin(ACQUIRE)
    pen.end()
    pen.begin(ACQUIRE)
    pen.end(ledger.RECOVERED)

    assert judge(book) == {"acquired": 2, "recovered": 1}


@pytest.mark.parametrize(
    ("flag", "kind"),
    [(ledger.NOT_ALONE, "not excluded"), (ledger.TORN, "corrupt"), (ledger.UNMARKED, "unmarked")],
)
def test_locks_are_bad_when_one_saw_what_must_not_be(book: Ledger, flag: int, kind: str) -> None:
    """Each thing by its name."""
    pen = Pen(book, 0, 1)
    pen.begin(ACQUIRE)
    pen.end(flag)

    assert judge(book)[kind] == 1


def test_a_lock_is_lost_when_it_cannot_be_had_in_the_end(book: Ledger) -> None:
    """Nor may a permit be missing."""
    book.words[ledger.LEFT_LOCKED] = 1
    book.words[ledger.PERMITS_SHORT] = 1

    assert judge(book)["lost"] == 2


@pytest.mark.parametrize(("parties", "wrong"), [(PARTIES, 0), (PARTIES - 1, PARTIES - 1)])
def test_a_barrier_lets_nobody_pass_before_all_have_come(book: Ledger, parties: int, wrong: int) -> None:
    """Who passes was there together with as many as the barrier has parties."""
    pens = [Pen(book, seat, 1) for seat in range(parties)]
    for pen in pens:
        pen.begin(WAIT)
    for pen in pens:
        pen.end()

    assert judge(book, "Barrier").get("not excluded", 0) == wrong
