"""Messages per second from one producer to one consumer, one at a time and many at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import islice, repeat
from typing import Any

from bench import plain
from bench.cells import Aim, Cell, Measure
from bench.messages import MESSAGES, Message, digest
from bench.peers import PEERS, Channel
from bench.peers.base import MANY
from bench.peers.hardy_queue import HardyViews
from bench.peers.stdlib_queue import StdlibQueue
from bench.processes import BenchError, Gate, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "One way, messages per second"
# Large messages are sent one at a time: many of them in one call are nobody's use.
_MANY_UP_TO_BYTES = 1024
# What plain C knows how to send.
_PLAIN = ("int", "100 bytes", "1 MiB")
_AIMS: dict[str, dict[str, Aim]] = {
    "int": {"hardy": Aim(50, prototype=35), "hardy, many": Aim(120, prototype=94)},
    "100 bytes": {"hardy": Aim(70, prototype=62)},
    "small dict": {"hardy": Aim(12, prototype=6.1)},
    "1 MiB": {"hardy": Aim(15, prototype=12)},
    "8 MiB array": {"hardy": Aim(20, prototype=10.6)},
}


def _produce(channel: Channel, message: Message, count: int, gate: Gate) -> int:
    send = channel.sender()
    gate.opened()
    send(message.last)
    objects = message.objects(count)
    gate.ready()
    start_ns = time.monotonic_ns()
    for obj in objects:
        send(obj)
    channel.finish()
    return start_ns


def _consume(channel: Channel, count: int, gate: Gate) -> tuple[int, int]:
    receive = channel.receiver()
    gate.opened()
    receive()
    gate.ready()
    for _ in repeat(None, count - 1):
        receive()
    last = receive()
    end_ns = time.monotonic_ns()
    channel.finish()
    return end_ns, digest(last)


def _batches(objects: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(objects, MANY)):
        yield batch


def _produce_many(channel: Channel, message: Message, count: int, gate: Gate) -> int:
    send = channel.many_sender()
    gate.opened()
    send([message.last])
    objects = iter(message.objects(count))
    gate.ready()
    start_ns = time.monotonic_ns()
    for batch in _batches(objects):
        send(batch)
    channel.finish()
    return start_ns


def _consume_many(channel: Channel, count: int, gate: Gate) -> tuple[int, int]:
    receive = channel.many_receiver()
    gate.opened()
    receive()
    gate.ready()
    left = count
    while left > 0:
        got = receive()
        left -= len(got)
    end_ns = time.monotonic_ns()
    channel.finish()
    if left:
        raise BenchError(f"{-left} objects more arrived than were sent")
    return end_ns, digest(got[-1])


def _measure(kind: type[Channel], message: Message, many: bool, count: int) -> float:
    channel = kind(message.bound, message.object_bytes)
    consume, produce = (_consume_many, _produce_many) if many else (_consume, _produce)
    (end_ns, got), start_ns = run_roles((partial(consume, channel, count), partial(produce, channel, message, count)))
    if got != message.last_digest(count):
        raise BenchError(f"{kind.name}, {message.name}: the last of {count} objects is not the last one sent")
    return float(end_ns - start_ns) / 1e9


def _contenders(message: Message, ours: type[Channel]) -> Iterator[tuple[str, Measure]]:
    for kind in (ours, *PEERS[1:]):
        yield kind.name, partial(_measure, kind, message, False)
        if kind.has_many and message.object_bytes <= _MANY_UP_TO_BYTES:
            yield f"{kind.name}, many", partial(_measure, kind, message, True)
    if message.name in _PLAIN and plain.find_compiler():
        size = str(message.object_bytes)
        yield plain.NAME, partial(plain.measure, ("one-way", size, "1"))
        if message.object_bytes <= _MANY_UP_TO_BYTES:
            yield f"{plain.NAME}, many", partial(plain.measure, ("one-way", size, str(MANY)))


def cells() -> Iterator[Cell]:
    """A cell for each kind of message."""
    for message in MESSAGES:
        yield Cell(FAMILY, message.name, dict(_contenders(message, PEERS[0])), StdlibQueue.name, _AIMS[message.name])
    array = MESSAGES[-1]
    yield Cell(
        FAMILY, f"{array.name}, copy=False", dict(_contenders(array, HardyViews)), StdlibQueue.name, {"hardy": Aim(20)}
    )
