"""Many small objects in one call: put_many and get_many.

Prints:
    200000 numbers, their sum 19999900000
"""

from hardy import Closed, Process, Queue


def produce(queue: Queue) -> None:
    queue.put_many(range(200_000))


def consume(queue: Queue) -> tuple[int, int]:
    count = total = 0
    while True:
        try:
            numbers = queue.get_many(max_items=1000)
        except Closed:  # nothing is left, and nobody who could put
            return count, total
        count += len(numbers)
        total += sum(numbers)


if __name__ == "__main__":
    queue: Queue = Queue(maxsize=10_000)
    producer = Process(target=produce, args=(queue,))
    consumer = Process(target=consume, args=(queue,))
    producer.start()
    consumer.start()
    queue.close()
    count, total = consumer.result()
    print(f"{count} numbers, their sum {total}")
