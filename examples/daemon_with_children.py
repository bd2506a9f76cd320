"""A daemon may have children, and when it is killed they end with it.

Prints:
    the daemon started a child
    the daemon is killed; its child has ended: True
"""

import os
import select
import signal

from hardy import Process, Queue


def manage(pids: Queue) -> None:
    worker = Process(target=signal.pause)
    worker.start()
    pids.put(worker.pid)
    signal.pause()


if __name__ == "__main__":
    pids: Queue = Queue()
    daemon = Process(target=manage, args=(pids,), daemon=True)
    daemon.start()
    worker = os.pidfd_open(pids.get())
    print("the daemon started a child")
    daemon.kill()
    ended, _, _ = select.select([worker], [], [], 5)
    print("the daemon is killed; its child has ended:", bool(ended))
