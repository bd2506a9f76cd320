"""A queue and a process in an asyncio program: nothing blocks the event loop.

Prints:
    from the process: 0 1 4 9
    the process returned 4
"""

import asyncio

from hardy import Process, Queue


def square(numbers: Queue, squares: Queue) -> int:
    count = 0
    for number in numbers:
        squares.put(number * number)
        count += 1
    return count


async def main() -> None:
    numbers: Queue = Queue(maxsize=1)
    squares: Queue = Queue()
    process = Process(target=square, args=(numbers, squares))
    process.start()
    for number in range(4):
        await numbers.aput(number)
    numbers.close()
    print("from the process:", *[await squares.aget() for _ in range(4)])
    print("the process returned", await process)


if __name__ == "__main__":
    asyncio.run(main())
