"""Messages per second with several producers and several consumers on one queue."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from multiprocessing.synchronize import Barrier
from typing import Any

from bench.cells import Cell, Measure
from bench.messages import MESSAGES, Message
from bench.peers import PEERS, Channel
from bench.peers.base import MANY
from bench.peers.stdlib_queue import StdlibQueue
from bench.processes import BenchError, Gate, Role, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "Several producers and consumers, messages per second"
_MESSAGES = ("int", "100 bytes")
_SIDES = (2, 4)
# What is sent in the cells is never None. One of these tells one consumer that the stream is over.
_END = None


def _produce(channel: Channel, message: Message, count: int, sides: int, gate: Gate) -> int:
    send = channel.sender()
    obj = 1 if message.usual is None else message.usual
    gate.opened()
    gate.ready()
    start_ns = time.monotonic_ns()
    for _ in repeat(None, count):
        send(obj)
    for _ in repeat(None, sides):
        send(_END)
    channel.finish()
    return start_ns


def _consume(channel: Channel, sides: int, gate: Gate) -> tuple[int, int]:
    # Each producer sends an end for each consumer, behind its own objects: when all consumers have had as many
    # ends as there are producers, everything has arrived. One end a consumer would not do, for
    # multiprocessing.Queue sends from threads, and an end of one process overtakes the objects of another.
    receive = channel.receiver()
    gate.opened()
    gate.ready()
    got = ends = 0
    while ends < sides:
        if receive() is _END:
            ends += 1
        else:
            got += 1
    end_ns = time.monotonic_ns()
    channel.finish()
    return end_ns, got


def _produce_many(channel: Channel, message: Message, count: int, all_sent: Barrier, gate: Gate) -> int:
    send = channel.many_sender()
    batch = [1 if message.usual is None else message.usual] * MANY
    gate.opened()
    gate.ready()
    start_ns = time.monotonic_ns()
    for _ in repeat(None, count // MANY):
        send(batch)
    # The ends come last of all, so that a consumer need not search each batch for them.
    all_sent.wait()
    send([_END])
    channel.finish()
    return start_ns


def _consume_many(channel: Channel, gate: Gate) -> tuple[int, int]:
    receive, send = channel.many_receiver(), channel.many_sender()
    gate.opened()
    gate.ready()
    got = 0
    while (batch := receive())[-1] is not _END:
        got += len(batch)
    end_ns = time.monotonic_ns()
    ends = batch.count(_END)
    if ends > 1:
        send([_END] * (ends - 1))
    channel.finish()
    return end_ns, got + len(batch) - ends


def _measure(kind: type[Channel], message: Message, many: bool, sides: int, count: int) -> float:
    channel = kind(message.bound, message.object_bytes)
    unit = MANY if many else 1
    each = max(1, count // (sides * unit)) * unit
    consume: Role
    produce: Role
    if many:
        consume = partial(_consume_many, channel)
        produce = partial(_produce_many, channel, message, each, multiprocessing.Barrier(sides))
    else:
        consume = partial(_consume, channel, sides)
        produce = partial(_produce, channel, message, each, sides)
    answers: list[Any] = run_roles([consume] * sides + [produce] * sides)
    arrived = sum(got for _, got in answers[:sides])
    if arrived != each * sides:
        raise BenchError(f"{kind.name}, {message.name}: {each * sides} objects were sent, {arrived} arrived")
    seconds = (max(end for end, _ in answers[:sides]) - min(answers[sides:])) / 1e9
    return float(seconds * count / (each * sides))


def _contenders(message: Message, sides: int) -> Iterator[tuple[str, Measure]]:
    for kind in PEERS:
        if kind.serves_many:
            yield kind.name, partial(_measure, kind, message, False, sides)
            if kind.has_many:
                yield f"{kind.name}, many", partial(_measure, kind, message, True, sides)


def cells() -> Iterator[Cell]:
    """A cell for each number of processes a side and each kind of small message."""
    for sides in _SIDES:
        for message in MESSAGES:
            if message.name in _MESSAGES:
                name = f"{sides} to {sides}, {message.name}"
                yield Cell(FAMILY, name, dict(_contenders(message, sides)), StdlibQueue.name)
