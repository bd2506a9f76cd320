from hardy import Process, Queue


def child(queue):
    # 通过队列告诉父进程：这个孩子的父进程是谁。
    pass


if __name__ == "__main__":
    queue = Queue()
    children = [Process(target=child, args=(queue,)) for _ in range(3)]
    for process in children:
        process.start()
    answers = [queue.get() for process in children]
    # 打印出：它们说的是不是都是本进程。
