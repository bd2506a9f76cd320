"""`hardy top`, driven by textual's own pilot."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from helpers import pool_tasks
from helpers.waiting import wait_until
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

import hardy
from hardy.cli import main
from hardy.observe import Watcher
from hardy.observe.rates import History
from hardy.observe.screen import ConfirmScreen, TextScreen, TopApp

LONG_S = 15.0


@pytest.fixture
def waiter() -> Iterator[hardy.Process]:
    """A process that waits for an item of a queue."""
    queue = hardy.Queue(name="numbers")
    process = hardy.Process(target=queue.get, name="reader")
    process.start()
    with Watcher() as watcher:
        assert wait_until(lambda: (seen := watcher.take().process(process.pid or 0)) and seen.waits, LONG_S)
    yield process
    process.kill()
    process.join()
    process.close()


def drive(do: Callable[[TopApp, Pilot[None]], Awaitable[None]]) -> None:
    """Run the view of this test's program, without a terminal, and do something with it."""

    async def run() -> None:
        app = TopApp(interval_s=3600, pids={os.getpid()})
        async with app.run_test(size=(150, 30)) as pilot:
            await pilot.pause()
            await do(app, pilot)

    asyncio.run(run())


def lines(app: TopApp, name: str) -> list[str]:
    table = app.query_one(f"#{name}", DataTable)
    return [" | ".join(map(str, table.get_row_at(row))) for row in range(table.row_count)]


def select(app: TopApp, name: str, text: str) -> None:
    app.query_one(f"#{name}", DataTable).move_cursor(row=[text in line for line in lines(app, name)].index(True))


def test_processes_are_shown_with_what_they_wait_for(waiter: hardy.Process) -> None:
    """The first table has every process, and what it waits for."""
    seen = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        seen.extend(lines(app, "processes"))

    drive(do)

    (line,) = (line for line in seen if line.startswith(f"{waiter.pid} "))
    assert "reader" in line
    assert "get from Queue 'numbers'" in line


def test_queues_and_locks_are_shown(waiter: hardy.Process) -> None:
    """The next tables have lengths, waiters and holders."""
    lock = hardy.Lock(name="stock")
    seen: dict[str, list[str]] = {}

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        assert app.current == "queues"
        seen["queues"] = lines(app, "queues")
        await pilot.press("3")
        assert app.current == "locks"
        seen["locks"] = lines(app, "locks")

    with lock:
        drive(do)

    assert [line for line in seen["queues"] if line.startswith("Queue 'numbers' | 0 | 0 B | 0 | 0 |  | 0 | 1")]
    assert [line for line in seen["locks"] if line.startswith("Lock 'stock' | held | ") and str(os.getpid()) in line]


def test_pool_is_shown_with_its_counts_and_what_its_workers_run(tmp_path: Path) -> None:
    """A line a pool: queued, running, done, failed; below it one a worker: what it runs, and how many it has done."""
    path = str(tmp_path / "gate")
    seen = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("4")
        seen.extend(lines(app, "pools"))

    with hardy.Pool(1) as pool:
        assert pool.map(pool_tasks.square, [1, 2, 3]) == [1, 4, 9]
        for bad in (pool.apply_async(pool_tasks.square, ("x",)), pool.apply_async(pool_tasks.kill_oneself_at, (1, 1))):
            bad.wait(LONG_S)
        result = pool.apply_async(pool_tasks.wait_for_file, (path,))
        later = [pool.apply_async(pool_tasks.square, (n,)) for n in range(5)]
        assert later.pop().cancel()
        with Watcher() as watcher:
            assert wait_until(
                lambda: any(desk.function for each in watcher.take().pools for desk in each.desks), LONG_S
            )
            (told,) = watcher.take().pools
        drive(do)
        Path(path).touch()
        result.get(LONG_S)
        for each in later:
            each.get(LONG_S)

    assert (told.queued, told.running, told.done, told.failed) == (4, 1, 3, 2)
    whole, worker = seen
    assert whole.startswith("Pool-")
    assert "(test_top.py:" in whole
    assert whole.endswith(" | 4 | 1 | 3 | 2")
    assert " | wait_for_file #" in worker


def test_lines_are_sorted_by_a_key(waiter: hardy.Process) -> None:
    """`s` sorts by the next column, `r` turns it round; numbers as numbers."""
    orders = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        orders.append([int(line.split(" ")[0]) for line in lines(app, "processes")])
        await pilot.press("r")
        orders.append([int(line.split(" ")[0]) for line in lines(app, "processes")])

    drive(do)

    assert orders[0] == sorted(orders[0])
    assert orders[1] == orders[0][::-1]


def test_lines_are_filtered(waiter: hardy.Process) -> None:
    """`f` asks for a text; only lines with it stay."""
    seen = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("f", *"reader", "enter")
        seen.extend(lines(app, "processes"))

    drive(do)

    assert len(seen) == 1
    assert seen[0].startswith(f"{waiter.pid} ")


def test_stack_of_a_process_is_shown(waiter: hardy.Process) -> None:
    """`d` shows where the selected process is."""
    texts = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        select(app, "processes", "reader")
        await pilot.press("d")
        screen = app.screen
        assert isinstance(screen, TextScreen)
        texts.append(screen.text)
        await pilot.press("escape")
        assert not isinstance(app.screen, TextScreen)

    drive(do)

    assert f"'reader' (pid {waiter.pid}), waiting" in texts[0]
    assert "get from Queue 'numbers'" in texts[0]


@pytest.mark.parametrize(("key", "number"), [("k", signal.SIGKILL), ("t", signal.SIGTERM)])
def test_process_is_ended_after_a_yes(waiter: hardy.Process, key: str, number: int) -> None:
    """`k` and `t` ask first; `n` does nothing, `y` sends the signal."""

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        select(app, "processes", "reader")
        await pilot.press(key)
        assert isinstance(app.screen, ConfirmScreen)
        assert f"'reader' (pid {waiter.pid})?" in str(app.screen.query(Static).first().render())
        await pilot.press("n")
        assert waiter.is_alive()
        await pilot.press(key, "y")

    drive(do)

    waiter.join(LONG_S)
    assert waiter.exitcode == -number


def test_view_stands_still_when_paused(waiter: hardy.Process) -> None:
    """`p` keeps what is shown."""
    seen = []

    async def do(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        before = lines(app, "processes")
        waiter.kill()
        waiter.join()
        app.look()
        seen.append(before == lines(app, "processes"))
        await pilot.press("p")
        app.look()
        seen.append(before == lines(app, "processes"))

    drive(do)

    assert seen == [True, False]


def test_rates_and_the_oldest_objects_age_come_from_looking() -> None:
    """Objects in and out a second, and how long the oldest has been there."""
    queue, history = hardy.Queue(name="rated"), History()
    with Watcher() as watcher:

        def look() -> tuple[float, float, float | None, bool]:
            snapshot = watcher.take()
            history.add(snapshot)
            (found,) = (each for each in snapshot.shared if each.title == "Queue 'rated'")
            return history.queue(found)

        assert look() == (0.0, 0.0, None, False)
        queue.put_many([1, 2, 3, 4])
        queue.get()
        put, got, first_age, is_at_least = look()
        put_later, _, age, _ = look()

    assert put > got > 0
    assert put_later > 0
    assert not is_at_least
    assert age is not None
    assert first_age is not None
    assert age > first_age >= 0


def test_top_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without textual there is one line with the mend, and status 2."""
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.setitem(sys.modules, "textual", None)
    monkeypatch.delitem(sys.modules, "hardy.observe.screen", raising=False)

    status = main(["top"])

    assert status == 2
    assert "pip install 'hardy[top]'" in capsys.readouterr().err


def test_top_says_when_a_process_is_none_of_hardys(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is drawn; an empty screen would say nothing."""
    status = main(["top", "4194303"])

    assert status == 2
    assert "no process of hardy's, or another user's: 4194303" in capsys.readouterr().err


def test_top_refuses_a_wrong_interval() -> None:
    """A mistake is told at the call."""
    done = subprocess.run(
        [sys.executable, "-m", "hardy", "top", "--interval", "0"], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 2
    assert "--interval must be" in done.stderr
