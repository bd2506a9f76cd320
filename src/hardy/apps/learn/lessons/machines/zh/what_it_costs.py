import time

from hardy import Queue
from hardy.managers import BaseManager

TIMES = 2000
queue = Queue()


class Office(BaseManager):
    pass


Office.register("queue", callable=lambda: queue)


def measure(queue) -> float:
    began = time.perf_counter()
    for number in range(TIMES):
        queue.put(number)
        queue.get()
    return (time.perf_counter() - began) / TIMES * 1e6


if __name__ == "__main__":
    print(f"放进再取出，共享内存：{measure(queue):.1f} µs")
    with Office(("127.0.0.1", 0), authkey=b"secret") as office:
        print(f"放进再取出，经过 TCP：{measure(office.queue()):.1f} µs")
