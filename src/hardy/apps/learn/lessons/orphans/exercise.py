import os

from hardy import Process, Queue


def parent(pids):
    # Start a child that lives on when this process has ended. It waits until it has another parent, and then puts
    # "adopted" into pids.
    pass


if __name__ == "__main__":
    pids = Queue()
    process = Process(target=parent, args=(pids,))
    process.start()
    process.join()
    print("the parent has ended")
    print(pids.get())
