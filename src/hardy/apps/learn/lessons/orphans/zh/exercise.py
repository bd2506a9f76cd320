import os

from hardy import Process, Queue


def parent(pids):
    # 启动一个孩子，本进程结束后它还活着。它等到有了别的父进程，
    # 就把 "被收养了" 放进 pids。
    pass


if __name__ == "__main__":
    pids = Queue()
    process = Process(target=parent, args=(pids,))
    process.start()
    process.join()
    print("父亲结束了")
    print(pids.get())
