"""When a stream has ended: nobody is left who could put.

As with a pipe whose writers have all closed it: the readers of an empty queue are told, once somebody has
closed it, that nobody else can put. A process can still put if it lives, has not closed the queue, does not itself
wait as a reader, and has the queue: it created it, used it, or was given it when it was started (see
`_proc.entrusted`). One that waits in `get` counts as a reader if it never put, or has no other thread that could.

Not all readers are told at once:

- a loop (`for obj in queue`) also takes the end of a process that had put for a close;
- `TaskQueue.take` needs a close;
- a plain `get` also waits for every process of the program that could have come by the queue unseen: under fork
  every child has a copy of every handle. A program written for the stdlib must never be told of an end that is none.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from hardy._core import board, runtime

if TYPE_CHECKING:
    from hardy._core.ring import Ring

__all__ = ["Reader", "nobody_can_put"]


class Reader(IntEnum):
    """Who asks; the numbers are those of the core (layout_ring.h)."""

    LOOP = 1
    TAKE = 2
    GET = 3


def nobody_can_put(queue: Ring, reader: Reader) -> bool:
    """Whether no process is left that could put into `queue`, which is empty; asked by a reader that waits."""
    users = queue._users()
    if not any(has_closed for _, _, has_closed, _, _ in users) and not (
        reader is Reader.LOOP and any(has_put and not runtime.is_alive(each) for each, has_put, _, _, _ in users)
    ):
        return False
    creator = queue._creator()
    could = {creator}
    if reader is Reader.GET:
        could.update(identity for identity, _, _ in board.descendants(creator))
    for identity, has_put, has_closed, waits, sole_thread in users:
        if has_closed or (waits and (sole_thread or not has_put)):
            could.discard(identity)
        else:
            could.add(identity)
    return not any(runtime.is_alive(identity) for identity in could)
