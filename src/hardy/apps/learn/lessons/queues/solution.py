from hardy import Empty, Queue


def drain(queue):
    """Everything that is in the queue now, in order, without ever waiting."""
    found = []
    while True:
        try:
            found.append(queue.get_nowait())
        except Empty:
            return found


if __name__ == "__main__":
    queue = Queue()
    print(drain(queue))
    for number in range(5):
        queue.put(number)
    print(drain(queue))
    print(drain(queue))
