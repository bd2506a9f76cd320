import os

from hardy import Process, Queue


def child(queue):
    queue.put(os.getppid())


if __name__ == "__main__":
    queue = Queue()
    children = [Process(target=child, args=(queue,)) for _ in range(3)]
    for process in children:
        process.start()
    answers = [queue.get() for process in children]
    print("说的都是我：", set(answers) == {os.getpid()})
