"""Two producers, one consumer, and a loop that ends by itself when nobody is left who could put.

Prints:
    consumed 6 items: a0 a1 a2 b0 b1 b2
"""

from hardy import Process, Queue


def produce(queue: Queue, letter: str) -> None:
    for number in range(3):
        queue.put(f"{letter}{number}")


def consume(queue: Queue) -> list[str]:
    return sorted(queue)


if __name__ == "__main__":
    queue: Queue = Queue(maxsize=2)
    producers = [Process(target=produce, args=(queue, letter)) for letter in "ab"]
    consumer = Process(target=consume, args=(queue,))
    for process in [*producers, consumer]:
        process.start()
    queue.close()  # this process puts nothing; without it the consumer would go on waiting for it
    items = consumer.result()
    print(f"consumed {len(items)} items:", *items)
