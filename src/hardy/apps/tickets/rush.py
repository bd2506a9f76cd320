"""A rush of users after a few tickets: each a process of its own, some killed on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from hardy.apps.tickets.model import SoldOut
from hardy.apps.tickets.sale import STEPS, Sale
from hardy.apps.tickets.stores import open_store
from hardy.connection import wait
from hardy.context import Process
from hardy.errors import ProcessDied
from hardy.queues import Queue
from hardy.synchronize import Event

__all__ = ["EVENT", "Rush", "run_rush", "safe_user", "unsafe_user"]

EVENT = "the last train"

# One user's way to a ticket: `(where, user, think_s, on_step)`, and its receipt, or None when all were sold.
User = Callable[[str, str, float, Callable[[str], None]], "str | None"]


def unsafe_user(where: str, user: str, think_s: float, on_step: Callable[[str], None]) -> str | None:
    """The data race: read, think, write, with nothing that keeps others out in between."""
    path = Path(where)
    on_step("ask")
    on_step("turn")
    stock = json.loads(path.read_text())
    on_step("read")
    time.sleep(think_s)
    if stock["count"] <= 0:
        return None
    stock["count"] -= 1
    on_step("write")
    # Whole, so that what is seen is the race alone: who reads a file that is being written finds it empty.
    written = path.with_suffix(f".{user}")
    written.write_text(json.dumps(stock))
    written.replace(path)
    on_step("done")
    return f"{user} paid"


def safe_user(where: str, user: str, think_s: float, on_step: Callable[[str], None]) -> str | None:
    """The cure: the same steps, one user at a time."""

    def step(name: str) -> None:
        on_step(name)
        if name == "read":
            time.sleep(think_s)

    with Sale(open_store(where), on_step=step) as sale:
        try:
            return sale.buy(EVENT, user, key=f"{user} clicked once").id
        except SoldOut:
            return None


@dataclass
class Rush:
    """What came of it.

    Attributes:
        steps: by user: the steps and when they were reached, in seconds from when the first were let in.
        receipts: by user, of those who were told that they have a ticket.
        killed: the users that were killed.
        seconds: how long it took, from when the first of them were let in.
    """

    steps: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    receipts: dict[str, str] = field(default_factory=dict)
    killed: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Log:
    """What a user tells of its steps; at the step at which it is to die, it does."""

    def __init__(self, name: str, queue: Queue, dies_at: str | None) -> None:
        self.name, self.dies_at = name, dies_at
        self._queue = queue

    def __call__(self, step: str) -> None:
        self._queue.put((self.name, step, time.monotonic_ns()))
        if step == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)


def _be(user: User, where: str, think_s: float, log: _Log, doors: Event) -> str | None:
    doors.wait()
    receipt = user(where, log.name, think_s, log)
    # Those that were to die at a step to which they did not come, for all was sold.
    if log.dies_at is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return receipt


def run_rush(
    user: User,
    where: str,
    users: int,
    *,
    think_s: float,
    kills: int = 0,
    at_once: int = 50,
    chance: random.Random | None = None,
) -> Rush:
    """Let the users loose, as many as may be there at once together, and wait until the last has ended.

    Args:
        user: what each does.
        where: the stock: of `unsafe_user` a JSON file with a count, of `safe_user` what `open_store` takes.
        users: how many.
        think_s: between reading what is left and writing it.
        kills: how many of them are killed (SIGKILL), each at one of the steps of an order.
        at_once: so many at the same time.
        chance: decides who is killed where.

    Raises:
        Whatever a user raised.
    """
    chance = chance or random.Random()
    queue: Queue = Queue()
    waiting = [f"user-{number}" for number in range(1, users + 1)]
    dies_at = {name: chance.choice(STEPS) for name in chance.sample(waiting, min(kills, users))}
    rush = Rush({name: [] for name in waiting})
    running: dict[int, Process] = {}
    doors = Event()
    start_ns = time.monotonic_ns()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                arguments = (user, where, think_s, _Log(name, queue, dies_at.get(name)), doors)
                process = Process(target=_be, args=arguments, name=name)
                process.start()
                running[process.sentinel] = process
            if not doors.is_set():
                start_ns = time.monotonic_ns()
                doors.set()
            for sentinel in wait(list(running)):
                _account(rush, running.pop(cast(int, sentinel)))
    finally:
        for process in running.values():
            process.kill()
            process.join()
    rush.seconds = (time.monotonic_ns() - start_ns) / 1e9
    while not queue.empty():
        name, step, at_ns = queue.get()
        rush.steps[name].append((step, (at_ns - start_ns) / 1e9))
    return rush


def _account(rush: Rush, process: Process) -> None:
    try:
        receipt = process.result()
    except ProcessDied:
        rush.killed.append(process.name)
    else:
        if receipt is not None:
            rush.receipts[process.name] = receipt
    process.close()
