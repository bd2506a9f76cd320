import os
import time

from hardy import Process, Queue


def child(parent, pids):
    while os.getppid() == parent:
        time.sleep(0.01)
    pids.put("被收养了")


def parent(pids):
    Process(target=child, args=(os.getpid(), pids), outlive_parent=True).start()
    os._exit(0)  # 不等孩子


if __name__ == "__main__":
    pids = Queue()
    process = Process(target=parent, args=(pids,))
    process.start()
    process.join()
    print("父亲结束了")
    print(pids.get())
