from hardy import Queue


def drain(queue):
    """Everything that is in the queue now, in order, without ever waiting."""
    return []


if __name__ == "__main__":
    queue = Queue()
    print(drain(queue))
    for number in range(5):
        queue.put(number)
    print(drain(queue))
    print(drain(queue))
