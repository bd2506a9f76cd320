from hardy import Process, Queue


def child(queue):
    # Tell the parent, through the queue, who this child's parent is.
    pass


if __name__ == "__main__":
    queue = Queue()
    children = [Process(target=child, args=(queue,)) for _ in range(3)]
    for process in children:
        process.start()
    answers = [queue.get() for process in children]
    # Print whether all of them named this process.
