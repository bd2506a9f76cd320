import os

from hardy import Process, Queue


def tell(names):
    # Put (name of this process, its pid) into names.
    pass


if __name__ == "__main__":
    names = Queue()
    workers = [Process(target=tell, args=(names,), name=f"worker-{number}") for number in (1, 2, 3)]
    for worker in workers:
        worker.start()
    told = dict(names.get() for worker in workers)
    # For each worker, in order: its name, and whether it told the pid that we know it by.
