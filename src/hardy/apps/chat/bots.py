"""Clients that talk with no keyboard, and count: what was sent, what came, in which order, how late."""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from dataclasses import dataclass, field
from typing import Any

from hardy.apps.chat.client import Client

__all__ = ["Report", "run_bots"]

_SETTLE_S = 15.0
_LOOK_S = 0.05


@dataclass
class Report:
    """What came of it.

    Attributes:
        bots: how many there were.
        seconds: for how long they talked.
        sent: messages that they sent.
        expected: what was to be delivered: each message to each bot of its room, its sender too.
        delivered: what was.
        lost: what was not.
        twice: what came a second time.
        out_of_order: what came after something that has a higher number, or is later of the same sender.
        orders: how many different orders the members of a room saw, at most; 1 is right.
        reconnects: how often a bot had to come again.
        latencies_s: of all deliveries, sorted.
    """

    bots: int
    seconds: float
    sent: int = 0
    expected: int = 0
    delivered: int = 0
    lost: int = 0
    twice: int = 0
    out_of_order: int = 0
    orders: int = 1
    reconnects: int = 0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))

    @property
    def is_right(self) -> bool:
        """Whether everything came, once, and in one order."""
        return not (self.lost or self.twice or self.out_of_order) and self.orders == 1

    def percentile(self, percent: float) -> float:
        """The latency, in seconds, that so many percent of the deliveries did not exceed."""
        if not self.latencies_s:
            return 0.0
        place = min(len(self.latencies_s) - 1, int(len(self.latencies_s) * percent / 100))
        return self.latencies_s[place]

    def __str__(self) -> str:
        times = ", ".join(f"{each}%: {self.percentile(each) * 1000:.1f} ms" for each in (50, 90, 99, 100))
        return (
            f"{self.bots} bots talked for {self.seconds:g} s and came again {self.reconnects} times\n"
            f"sent          {self.sent:>10,}\n"
            f"delivered     {self.delivered:>10,} of {self.expected:,}\n"
            f"lost          {self.lost:>10,}\n"
            f"twice         {self.twice:>10,}\n"
            f"out of order  {self.out_of_order:>10,}\n"
            f"orders seen   {self.orders:>10,} (one for all is right)\n"
            f"latency       {times}"
        )


class _Bot:
    """One of them."""

    def __init__(self, number: int, name: str, host: str, port: int, room: str, report: Report) -> None:
        self.number, self.room = number, room
        self.client = Client(host, port, name, self._see)
        self._report = report
        self.inside = asyncio.Event()
        self.sent = 0
        self.received = 0
        self.order = 0
        self._last_number = 0
        self._last_of: dict[int, int] = {}

    def _see(self, event: dict[str, Any]) -> None:
        if event["event"] == "room":
            self.inside.set()
        if event["event"] != "message":
            return
        sender, count, at = event["text"].split()
        who, which = int(sender), int(count)
        last = self._last_of.get(who, 0)
        self.received += 1
        if which <= last:
            self._report.twice += 1
        else:
            self._last_of[who] = which
            # A hole is made up for by nothing that may come later: then that is out of order.
            self._report.out_of_order += which > last + 1
        self._report.out_of_order += event["number"] <= self._last_number
        self._last_number = event["number"]
        self.order = hash((self.order, event["number"], who, which))
        self._report.latencies_s.append((time.monotonic_ns() - int(at)) / 1e9)

    async def talk(self, rate: float, until: float, chance: random.Random) -> None:
        """Say something `rate` times a second."""
        due = time.monotonic() + chance.random() / rate
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.sent += 1
            self.client.say(self.room, f"{self.number} {self.sent} {time.monotonic_ns()}")
            due += 1 / rate


async def run_bots(
    host: str, port: int, *, n: int = 100, rate: float = 5.0, seconds: float = 60.0, rooms: int = 1, prefix: str = "bot"
) -> Report:
    """Let bots talk, and wait until all has come, or nothing comes any more.

    Args:
        host: of the server.
        port: of the server.
        n: how many bots.
        rate: messages of each per second.
        seconds: for how long.
        rooms: over so many rooms they are spread.
        prefix: of their names.

    Raises:
        ChatError: a name is taken.
        OSError: the server cannot be reached.
    """
    report = Report(n, seconds)
    run = f"{random.getrandbits(32):08x}"
    bots = [_Bot(i, f"{prefix}-{run[:4]}-{i}", host, port, f"bots-{run}-{i % rooms}", report) for i in range(n)]
    try:
        for bot in bots:
            await bot.client.enter()
            bot.client.join(bot.room)
        for bot in bots:
            await asyncio.wait_for(bot.inside.wait(), _SETTLE_S)
        until = time.monotonic() + seconds
        await asyncio.gather(*(bot.talk(rate, until, random.Random(bot.number)) for bot in bots))
        await _settle(bots)
    finally:
        await asyncio.gather(*(bot.client.close() for bot in bots))
    sent = {room: sum(bot.sent for bot in bots if bot.room == room) for room in {bot.room for bot in bots}}
    report.sent = sum(sent.values())
    report.expected = sum(sent[bot.room] for bot in bots)
    report.delivered = sum(bot.received for bot in bots) - report.twice
    report.lost = report.expected - report.delivered
    report.orders = max(len({bot.order for bot in bots if bot.room == room}) for room in sent)
    report.reconnects = sum(bot.client.reconnects for bot in bots)
    report.latencies_s = array("d", sorted(report.latencies_s))
    return report


async def _settle(bots: list[_Bot]) -> None:
    """Until each has all that was sent in its room, or for long nothing came."""
    sent: dict[str, int] = {}
    for bot in bots:
        sent[bot.room] = sent.get(bot.room, 0) + bot.sent
    seen, since = -1, time.monotonic()
    while any(bot.received < sent[bot.room] for bot in bots):
        now_seen = sum(bot.received for bot in bots)
        if now_seen != seen:
            seen, since = now_seen, time.monotonic()
        elif time.monotonic() - since > _SETTLE_S:
            return
        await asyncio.sleep(_LOOK_S)
