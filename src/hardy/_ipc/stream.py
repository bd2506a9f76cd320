"""When a stream has ended: nobody is left who could put.

As with a pipe whose writers have all closed it: the readers of an empty queue are told, once somebody has
closed it, that nobody else can put. (A loop also takes the end of a process that had put for a close.) A process can still put if it lives, has not closed the queue, does not itself
wait as a reader, and has the queue: it created it, used it, or was given it when it was started (see
`_proc.entrusted`). One that waits in `get` counts as a reader if it never put, or has no other thread that could.

Under fork every child has a copy of every handle, and may use one that nobody saw it get. A loop over the queue
(`for obj in queue`) and `TaskQueue.take` leave such processes out, or an unrelated child would hold up their end. A
plain `get` does not: a program written for the stdlib must never be told of an end that is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardy._core import board, runtime

if TYPE_CHECKING:
    from hardy._core.ring import Ring

__all__ = ["nobody_can_put"]


def nobody_can_put(queue: Ring, eager: bool) -> bool:
    """Whether no process is left that could put into `queue`; asked by a reader that waits.

    Args:
        queue: empty.
        eager: leave out processes of the program that neither used nor were given the queue.
    """
    creator = queue._creator()
    could = {creator}
    if not eager:
        could.update(identity for identity, _, _ in board.descendants(creator))
    users = queue._users()
    if not any(closed or (put and eager and not runtime.is_alive(each)) for each, put, closed, _, _ in users):
        return False
    for identity, has_put, has_closed, waits, sole_thread in users:
        if has_closed or (waits and (sole_thread or not has_put)):
            could.discard(identity)
        else:
            could.add(identity)
    return not any(runtime.is_alive(identity) for identity in could)
