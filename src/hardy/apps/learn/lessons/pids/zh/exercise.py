import os

from hardy import Process, Queue


def tell(names):
    # 把（本进程的名字，它的 pid）放进 names。
    pass


if __name__ == "__main__":
    names = Queue()
    workers = [Process(target=tell, args=(names,), name=f"worker-{number}") for number in (1, 2, 3)]
    for worker in workers:
        worker.start()
    told = dict(names.get() for worker in workers)
    # 按顺序，对每个 worker：它的名字，它说的 pid 是不是我们知道的那个。
