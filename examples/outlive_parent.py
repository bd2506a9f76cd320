"""When a process dies, however it dies, its children end too; `outlive_parent=True` asks for the contrary.

Prints:
    the parent is killed
    its child lives: False
    its child with outlive_parent=True lives: True
"""

import os
import select
import signal

from hardy import Process, Queue


def parent(pids: Queue) -> None:
    for outlive in (False, True):
        child = Process(target=signal.pause, outlive_parent=outlive)
        child.start()
        pids.put(child.pid)
    signal.pause()


if __name__ == "__main__":
    pids: Queue = Queue()
    middle = Process(target=parent, args=(pids,))
    middle.start()
    child, outliving = os.pidfd_open(pids.get()), os.pidfd_open(pids.get())
    middle.kill()
    print("the parent is killed")
    ended, _, _ = select.select([child], [], [], 5)
    print("its child lives:", not ended)
    ended, _, _ = select.select([outliving], [], [], 1)
    print("its child with outlive_parent=True lives:", not ended)
    signal.pidfd_send_signal(outliving, signal.SIGKILL)
