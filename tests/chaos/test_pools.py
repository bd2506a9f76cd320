"""What a round over a pool calls wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.plan import draw_plan
from chaos.pools import PoolRound

OK, ERROR, TWICE = 1, 2, 3
KILLED, ALIVE = 41, 42


@pytest.fixture(params=["Pool", "ProcessPoolExecutor"])
def judge(request: pytest.FixtureRequest) -> Iterator[PoolRound]:
    made = PoolRound(draw_plan(1, 1, "hardy", request.param, 4, 1, can_nest=True), 1.0)
    made._killed.add(KILLED)
    yield made
    made._book.close()


def kinds(judge: PoolRound, begun: int, by: int, finished: int, told: int) -> list[str]:
    return [kind for kind, _ in judge._wrong_with(begun, by, finished, told)]


def test_task_that_was_done_once_and_told_of_once_is_right(judge: PoolRound) -> None:
    """Also where its worker was killed afterwards."""
    assert kinds(judge, 1, ALIVE, 1, OK) == kinds(judge, 1, KILLED, 1, OK) == []


def test_task_that_was_not_done_is_lost(judge: PoolRound) -> None:
    """Though it was said to be done."""
    assert kinds(judge, 1, ALIVE, 0, OK) == ["lost"]


def test_task_that_was_told_of_twice_is_doubled(judge: PoolRound) -> None:
    """Be it retried or not."""
    assert kinds(judge, 1, ALIVE, 1, TWICE) == ["doubled"]


def test_task_that_was_done_twice_is_doubled_unless_it_is_retried(judge: PoolRound) -> None:
    """A worker that dies between its end and its telling leaves it to be done again, where that was asked for."""
    assert kinds(judge, 2, KILLED, 2, OK) == ([] if judge.plan.subject == "ProcessPoolExecutor" else ["doubled"])


def test_task_may_fail_by_its_own_workers_death_only(judge: PoolRound) -> None:
    """And not at all with retries."""
    repeats = judge.plan.subject == "ProcessPoolExecutor"

    assert kinds(judge, 1, KILLED, 0, ERROR) == (["failed beside"] if repeats else [])
    assert kinds(judge, 1, ALIVE, 0, ERROR) == ["failed beside"]


def test_death_costs_one_task_at_most(judge: PoolRound) -> None:
    """One that had been begun, or one that was in hand and not begun yet: never both, never two."""
    if judge.plan.subject == "ProcessPoolExecutor":
        assert kinds(judge, 0, 0, 0, ERROR) == ["failed beside"]
        return

    def complaints(*tasks: tuple[int, int]) -> int:
        judge._costs.clear()
        assert all(kinds(judge, begun, by, 0, ERROR) == [] for begun, by in tasks)
        return len(list(judge._wrong_with_deaths()))

    assert complaints() == complaints((1, KILLED)) == complaints((0, 0)) == 0
    assert complaints((1, KILLED), (1, KILLED)) == 1
    assert complaints((1, KILLED), (0, 0)) == 1
    assert complaints((0, 0), (0, 0)) == 1
