import os

from hardy import Process, Queue, current_process


def tell(names):
    names.put((current_process().name, os.getpid()))


if __name__ == "__main__":
    names = Queue()
    workers = [Process(target=tell, args=(names,), name=f"worker-{number}") for number in (1, 2, 3)]
    for worker in workers:
        worker.start()
    told = dict(names.get() for worker in workers)
    for worker in workers:
        print(worker.name, told[worker.name] == worker.pid)
