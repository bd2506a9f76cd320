"""When a stream has ended: nobody is left who could put.

As with a pipe whose writers have all closed it: the readers of an empty queue are told, once somebody has
closed it, that nobody else can put. A process can still put if it lives, has not closed the queue, could have
come by it (it is its creator or descends from it, or it has used it), and does not itself wait as a reader. One
that waits in `get` counts as a reader if it never put, or if it has no other thread that could.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hardy._core import board, runtime

if TYPE_CHECKING:
    from hardy._core.ring import Ring

__all__ = ["nobody_can_put"]


def nobody_can_put(queue: Ring) -> bool:
    """Whether no process is left that could put into `queue`; asked by a reader that waits."""
    creator = queue._creator()
    could = {creator, *(identity for identity, _, _ in board.descendants(creator))}
    for identity, has_put, has_closed, waits, sole_thread in queue._users():
        if has_closed or (waits and (sole_thread or not has_put)):
            could.discard(identity)
        else:
            could.add(identity)
    return not any(runtime.is_alive(identity) for identity in could)
