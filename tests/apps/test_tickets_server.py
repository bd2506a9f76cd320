"""`hardy tickets serve | buy | demo`: over real sockets, with clients that we did not write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.browser import browser
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

READY = r"selling at (http://\S+)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    command = ("hardy", "tickets", "serve", "--port", "0", "--event", "play=10", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as opened:
        yield opened


def order(client: httpx.Client, key: str, **body: Any) -> httpx.Response:
    return client.post("/events/play/orders", json={"buyer": "ada", **body}, headers={"Idempotency-Key": key})


def test_server_sells_once_when_an_order_is_sent_twice(client: httpx.Client) -> None:
    """201 for the order, 200 and the same order for the retry, 422 when the key comes with another."""
    first, again = order(client, "k1"), order(client, "k1")
    other = order(client, "k1", buyer="bob")

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert first.json() == again.json()
    assert other.json()["error"] == "KeyReused"
    assert client.get("/events/play").json() == {"name": "play", "tickets": 10, "sold": 1, "held": 0, "remaining": 9}
    assert client.get(f"/orders/{first.json()['id']}").json() == first.json()


def test_server_holds_confirms_and_gives_back(client: httpx.Client) -> None:
    """A hold is confirmed or given back over HTTP."""
    kept, dropped = (order(client, key, hold_s=60, quantity=2).json() for key in ("a", "b"))

    assert client.get("/events/play").json()["held"] == 4
    assert client.post(f"/orders/{kept['id']}/confirm").json()["state"] == "sold"
    assert client.delete(f"/orders/{dropped['id']}").json()["state"] == "cancelled"
    assert client.delete(f"/orders/{kept['id']}").status_code == 409
    assert client.get("/events").json() == [{"name": "play", "tickets": 10, "sold": 2, "held": 0, "remaining": 8}]


def test_server_says_what_is_wrong_with_an_order(client: httpx.Client) -> None:
    """Each bad order has its status and a sentence, and sells nothing."""
    key = {"Idempotency-Key": "k"}
    bad: list[tuple[bytes, dict[str, str], int, str]] = [
        (b'{"buyer": "ada"}', {}, 422, "Idempotency-Key"),
        (b"not json", key, 422, "not JSON"),
        (b"[]", key, 422, "object"),
        (b'{"buyer": "ada", "quantity": -1}', key, 422, "quantity"),
        (b'{"buyer": "ada", "quantity": 11}', key, 409, "10 tickets"),
        (b'{"buyer": "ada", "amount": 1}', key, 422, "amount"),
        (b'{"quantity": 1}', key, 422, "buyer"),
        (b"x" * 20_000, key, 422, "10000 bytes"),
    ]
    for body, headers, status, said in bad:
        answer = client.post("/events/play/orders", content=body, headers=headers)

        assert answer.status_code == status, body
        assert said in answer.json()["detail"]
    assert client.get("/events/play").json()["remaining"] == 10


def test_server_says_what_it_has_not(client: httpx.Client) -> None:
    """Unknown events, orders and pages are 404, in JSON."""
    for path in ("/events/none", "/events/none/live", "/orders/none", "/none"):
        answer = client.get(path)
        assert (answer.status_code, "detail" in answer.json()) == (404, True)


def test_server_pushes_what_is_left_when_another_worker_sells(client: httpx.Client) -> None:
    """A page that is open sees each sale without asking."""
    with client.stream("GET", "/events/play/live") as live:
        lines = (json.loads(line[6:]) for line in live.iter_lines() if line.startswith("data: "))
        assert next(lines)["remaining"] == 10
        for number in range(3):
            # Each its own connection: either worker may take it.
            httpx.post(
                f"{client.base_url}events/play/orders", json={"buyer": "b"}, headers={"Idempotency-Key": f"k{number}"}
            )

        assert next(news["remaining"] for news in lines if news["remaining"] == 7) == 7


def test_server_replaces_a_killed_worker_and_loses_no_order(server: Server, client: httpx.Client) -> None:
    """Workers are killed while buyers buy; each buyer with a receipt has one order, and exactly ten are sold."""

    def buy(number: int) -> str | None:
        command = [sys.executable, "-m", "hardy", "tickets", "buy", server.url, "play", "--buyer", f"b{number}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout.split()[-1] if done.returncode == 0 else None

    with ThreadPoolExecutor(4) as threads:
        receipts = threads.map(buy, range(14))
        for _ in range(3):
            victim = next(iter(descendants(server.process.pid)))
            os.kill(victim, signal.SIGKILL)
            assert wait_until(lambda dead=victim: dead not in descendants(server.process.pid), 10)
            assert wait_until(lambda: len(descendants(server.process.pid)) == 2, 10)
        told = [receipt for receipt in receipts if receipt]

    assert "Another takes its place" in server.output
    assert len(set(told)) == len(told) == 10
    assert client.get("/events/play").json()["remaining"] == 0
    assert server.end() == 0


def test_server_ends_when_it_is_told_while_pages_are_open(server: Server, client: httpx.Client) -> None:
    """SIGTERM ends it within seconds, with open streams, and no traceback."""
    with client.stream("GET", "/events/play/live") as live:
        next(live.iter_lines())

        assert server.end() == 0
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--event", "play"], "NAME=TICKETS"),
        (["--event", "play=-3"], "tickets must be"),
        (["--event", "play=1", "--event", "play=2"], "1 tickets, not 2"),
        (["--store", "x.txt"], "a store is a path"),
        (["--store", "/nowhere/x.db"], "cannot be opened|No such file"),
        (["--workers", "0"], "--workers"),
        (["--port", "99999"], "cannot listen"),
        (["--host", "203.0.113.7"], "cannot listen"),
    ],
)
def test_serve_says_why_it_cannot(tmp_path: Path, options: list[str], said: str) -> None:
    """A bad option is one sentence, and an exit status."""
    command = [sys.executable, "-m", "hardy", "tickets", "serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)

    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert any(part in done.stderr for part in said.split("|")), done.stderr


@pytest.mark.timeout(120)
def test_page_shows_what_others_buy_and_buys_once_at_a_double_click(server: Server, client: httpx.Client) -> None:
    """What is left falls by itself when somebody else buys; two clicks before the answer are one order."""
    with browser() as page:
        page.get(server.url)
        left = lambda: page.execute_script("return document.querySelector('.left')?.textContent")  # noqa: E731
        assert wait_until(lambda: left() == "10", 20)

        assert order(client, "other").status_code == 201
        assert wait_until(lambda: left() == "9", 20)
        page.execute_script("const b = document.querySelector('.event button'); b.click(); b.click();")
        said = page.find_element("class name", "said")
        assert wait_until(lambda: said.text.startswith("You have one"), 20)

        assert wait_until(lambda: left() == "8", 20)
        assert client.get("/events/play").json()["sold"] == 2
        assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_buy_says_how_to_ask_again_when_nobody_answers(tmp_path: Path) -> None:
    """The order may have been made: the same key is in the command that asks again."""
    from hardy.apps.tickets import client

    with pytest.raises(OSError):
        client.buy("http://127.0.0.1:1", "play", "ada", 1, "k1", pause=lambda seconds: None)


def test_demo_oversells_without_a_lock_and_never_with_one() -> None:
    """The picture has both runs on one scale, and the verdict of each."""
    command = [sys.executable, "-m", "hardy", "tickets", "demo", "--unsafe", "--users", "6", "--kills", "2"]
    done = subprocess.run([*command, "--seed", "7"], capture_output=True, text=True, timeout=50)

    assert done.returncode == 0, done.stdout + done.stderr
    unsafe, safe = (line for line in done.stdout.splitlines() if "were told they have one" in line)
    assert "oversold by" in unsafe
    assert "not oversold" in safe
    assert "2 killed" in safe
    assert done.stdout.count("user-3") == 2


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_demo_sells_exactly_what_there_is_to_a_thousand_when_a_hundred_are_killed(tmp_path: Path) -> None:
    """1,000 users, 100 tickets, 100 kills: 100 orders in the store, and each receipt is one of them."""
    command = [sys.executable, "-m", "hardy", "tickets", "demo", "--users", "1000", "--tickets", "100"]
    command += ["--kills", "100", "--store", "t.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "not oversold" in done.stdout
    assert "100 killed" in done.stdout
    from hardy.apps.tickets import Sale, open_store

    with Sale(open_store(str(tmp_path / "t.db"))) as sale:
        (event,) = sale.events()
        assert (event.sold, event.remaining) == (100, 0)
        assert len({order.id for order in sale.orders(event.name)}) == 100
