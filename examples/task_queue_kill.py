"""A worker is killed with an item in hand; another worker gets the item.

Prints:
    first worker has 'photo-1' (delivery 1)
    ProcessDied: 'first' (pid 4127, SIGKILL) was killed before it gave a result.
      Its children were ended and what it held was released; start another
    second worker has 'photo-1' (delivery 2)
"""

import os
import signal

from hardy import Process, ProcessDied, TaskQueue


def work(tasks: TaskQueue[str], who: str, die: bool) -> None:
    lease = tasks.take()
    with lease as item:
        print(f"{who} worker has {item!r} (delivery {lease.deliveries})", flush=True)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)  # as `kill -9` or the OOM killer would


if __name__ == "__main__":
    tasks: TaskQueue[str] = TaskQueue()
    tasks.put("photo-1")
    first = Process(target=work, args=(tasks, "first", True), name="first")
    first.start()
    try:
        first.result()
    except ProcessDied as error:
        print(f"ProcessDied: {error}")
    second = Process(target=work, args=(tasks, "second", False), name="second")
    second.start()
    second.result()
    tasks.join()  # every item was acknowledged
