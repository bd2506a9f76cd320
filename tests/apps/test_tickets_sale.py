"""The ticket sale: its rules, on each store; nobody oversells, whoever is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.postgres import Postgres, postgres_server
from helpers.world import world

from hardy import Barrier, FileCorrupt, Process
from hardy.apps.tickets import (
    BadOrder,
    HoldOver,
    KeyReused,
    Sale,
    SoldOut,
    UnknownEvent,
    UnknownOrder,
    open_store,
)
from hardy.apps.tickets.sale import STEPS

STORES = ("json", "db", "postgres")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres | None]:
    with postgres_server() as server:
        yield server


# The server is asked for by name, so that it runs before the first test of the module counts its children.
@pytest.fixture(params=STORES)
def where(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres | None) -> str:
    if request.param == "postgres":
        if postgres is None:
            pytest.skip("needs the programs of PostgreSQL: apt-get install postgresql")
        return postgres.new_database()
    return str(tmp_path / f"tickets.{request.param}")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sale(where: str, clock: Clock) -> Iterator[Sale]:
    with Sale(open_store(where), clock=clock) as opened:
        opened.add_event("play", 3)
        yield opened


def test_sale_sells_what_there_is_and_no_more(sale: Sale) -> None:
    """The last ticket is sold, the next order is refused whole."""
    order = sale.buy("play", "ada", "k1", 2)

    with pytest.raises(SoldOut, match="1 tickets"):
        sale.buy("play", "bob", "k2", 2)
    assert sale.event("play").remaining == 1
    assert sale.order(order.id) == order
    assert sale.orders("play") == [order]
    assert sale.audit("play") == []


def test_sale_buys_once_when_the_order_is_sent_again(sale: Sale) -> None:
    """A retry gets the order that was made; another order with its key is refused."""
    first = sale.buy("play", "ada", "k1")

    again = sale.buy("play", "ada", "k1")

    assert again == first
    assert sale.event("play").sold == 1
    with pytest.raises(KeyReused, match="k1"):
        sale.buy("play", "bob", "k1")


def test_sale_frees_a_hold_when_its_time_is_over(sale: Sale, clock: Clock) -> None:
    """A hold keeps its tickets until it is confirmed, cancelled, or over."""
    kept = sale.hold("play", "ada", "k1", 2, hold_s=60)
    late = sale.hold("play", "bob", "k2", 1, hold_s=10)
    assert sale.event("play").remaining == 0

    assert sale.confirm(kept.id).state == "sold"
    clock.now += 11

    assert sale.order(late.id).state == "expired"
    assert sale.event("play").remaining == 1
    with pytest.raises(HoldOver, match="expired"):
        sale.confirm(late.id)
    assert sale.buy("play", "eve", "k3").state == "sold"
    assert sale.confirm(kept.id).state == "sold"
    with pytest.raises(HoldOver, match="sold"):
        sale.cancel(kept.id)
    assert sale.audit("play") == []


def test_sale_gives_back_a_hold_that_is_cancelled(sale: Sale) -> None:
    """Its tickets are free at once, and a second cancel does nothing."""
    held = sale.hold("play", "ada", "k1", 3)

    assert sale.cancel(held.id).state == "cancelled"
    assert sale.cancel(held.id).state == "cancelled"

    assert sale.event("play").remaining == 3
    with pytest.raises(HoldOver, match="cancelled"):
        sale.confirm(held.id)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (lambda sale: sale.buy("play", "ada", "k", 0), "quantity"),
        (lambda sale: sale.buy("play", "ada", "k", True), "quantity"),
        (lambda sale: sale.buy("play", "ada", "k", "2"), "quantity"),
        (lambda sale: sale.buy("play", "", "k"), "the buyer"),
        (lambda sale: sale.buy("play", "a\0b", "k"), "the buyer"),
        (lambda sale: sale.buy("play", "ada", "k" * 201), "the key"),
        (lambda sale: sale.hold("play", "ada", "k", hold_s=0), "hold_s"),
        (lambda sale: sale.hold("play", "ada", "k", hold_s=float("nan")), "hold_s"),
        (lambda sale: sale.add_event("new", -1), "tickets"),
        (lambda sale: sale.add_event("play", 4), "3 tickets"),
    ],
)
def test_sale_names_what_is_wrong_with_an_order(sale: Sale, order: Callable[[Sale], Any], said: str) -> None:
    """Bad arguments are told at the call, and nothing is sold."""
    with pytest.raises(BadOrder, match=said):
        order(sale)

    assert [event.name for event in sale.events()] == ["play"]
    assert sale.event("play").remaining == 3


def test_sale_names_the_events_that_there_are(sale: Sale) -> None:
    """An unknown event or order is told."""
    with pytest.raises(UnknownEvent, match=r"'plya'.*'play'"):
        sale.buy("plya", "ada", "k")
    with pytest.raises(UnknownOrder, match="'none'"):
        sale.order("none")


def grab(where: str, buyer: str, together: Barrier) -> int:
    """Buy until there are none."""
    with Sale(open_store(where, durable=False)) as sale:
        together.wait()
        for number in range(10_000):
            try:
                sale.buy("play", buyer, f"{buyer}-{number}")
            except SoldOut:
                return number
    raise AssertionError("never sold out")


def test_sale_starves_nobody_when_all_want_all(where: str) -> None:
    """Each process gets its part, and exactly what there is is sold."""
    # A JSON file is written whole at each order.
    tickets = 400 if where.endswith(".json") else 2_000
    with Sale(open_store(where)) as sale:
        sale.add_event("play", tickets)
    together = Barrier(4)
    buyers = [Process(target=grab, args=(where, f"buyer-{number}", together)) for number in range(4)]
    for buyer in buyers:
        buyer.start()
    shares = [buyer.result(40) for buyer in buyers]

    assert sum(shares) == tickets
    assert min(shares) >= 10, shares
    with Sale(open_store(where)) as sale:
        assert sale.event("play").remaining == 0
        assert sale.audit("play") == []


@pytest.mark.parametrize("step", STEPS)
def test_sale_has_an_order_whole_or_not_at_all_when_its_buyer_is_killed_at(where: str, step: str) -> None:
    """Before the commit nothing is sold, after it one is; the next buyer waits for nobody."""
    with Sale(open_store(where)) as sale:
        sale.add_event("play", 2)

    def die(_: object) -> None:
        def on_step(name: str) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

        with Sale(open_store(where), on_step=on_step) as sale:
            sale.buy("play", "victim", "k-victim")

    with world() as w:
        assert w.fork(die).ends() == -signal.SIGKILL

        with Sale(open_store(where)) as sale:
            sold = {"done": 1}.get(step, 0)
            assert sale.event("play").sold == sold
            assert sale.audit("play") == []
            # The buyer does not know, and asks again.
            sale.buy("play", "victim", "k-victim")
            sale.buy("play", "next", "k-next")
            assert sale.event("play").remaining == 0
            assert [order.buyer for order in sale.orders("play")] == ["victim", "next"]


@pytest.mark.parametrize("name", ["t.json", "t.db"])
@pytest.mark.parametrize("content", [b"\x00garbage" * 200, b'{"events": 3}', b"[]"])
def test_store_refuses_and_keeps_a_file_that_is_none(tmp_path: Path, name: str, content: bytes) -> None:
    """A corrupt store is named and not touched."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(FileCorrupt, match=r"t\.(json|db)"):
        open_store(str(path))

    assert path.read_bytes() == content


def test_store_says_what_it_can_open() -> None:
    """Neither a file nor an address."""
    with pytest.raises(BadOrder, match=r"tickets\.txt"):
        open_store("tickets.txt")
    with pytest.raises(OSError, match="cannot be reached"):
        open_store("postgresql://127.0.0.1:1/none")
    with pytest.raises(OSError, match=r"cannot be opened|No such file"):
        open_store("/nowhere/tickets.db")
