from hardy import Empty, Queue


def drain(queue):
    """队列里现有的一切，按顺序，绝不等待。"""
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
