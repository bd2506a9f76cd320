"""A process is joined before its queue is read: with the standard library this waits for ever.

Prints:
    the producer has ended with exit code 0
    64 chunks, 64 MiB
"""

from hardy import Process, Queue


def produce(queue: Queue) -> None:
    for _ in range(64):
        queue.put(bytes(2**20))


if __name__ == "__main__":
    queue: Queue = Queue()
    producer = Process(target=produce, args=(queue,))
    producer.start()
    producer.join()
    print("the producer has ended with exit code", producer.exitcode)
    chunks = [queue.get() for _ in range(queue.qsize())]
    print(f"{len(chunks)} chunks, {sum(map(len, chunks)) // 2**20} MiB")
