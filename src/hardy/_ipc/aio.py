"""`aput` and `aget`: a queue in an asyncio program.

A futex cannot be watched by an event loop. While an operation has to wait, one thread per waiting call sleeps on
the queue's futex, in slices, and takes nothing: the operation itself is tried on the loop. So a cancelled call
has put or taken nothing, and an operation that need not wait costs no thread.
"""

from __future__ import annotations

import asyncio
import threading
from queue import Empty, Full
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hardy._ipc.queues import Queue

__all__ = ["aget", "aput"]

_SLICE_S = 0.1


async def aget(queue: Queue, copy: bool = True) -> Any:
    """The oldest object of `queue`; takes `copy` and raises as its `get`."""
    while True:
        try:
            return queue.get(False, copy=copy)
        except Empty:
            await _in_thread(queue._wait_items, _SLICE_S)


async def aput(queue: Queue, obj: Any) -> None:
    """Puts `obj`; raises as `put` of the queue."""
    while True:
        try:
            return queue.put(obj, False)
        except Full:
            await _in_thread(queue._wait_room, _SLICE_S)


async def _in_thread(wait: Any, timeout_s: float) -> None:
    """Run one slice of waiting in a thread of its own; a cancelled caller leaves it to end by itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def report(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error = None
        try:
            wait(timeout_s)
        except BaseException as caught:
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(report, error)

    threading.Thread(target=run, name="hardy-wait", daemon=True).start()
    await done
