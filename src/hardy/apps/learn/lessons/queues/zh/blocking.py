import time

from hardy import Process, Queue


def slow_reader(queue) -> None:
    for _ in range(3):
        time.sleep(1)
        queue.get()


if __name__ == "__main__":
    queue = Queue(2)
    began = time.time()
    reader = Process(target=slow_reader, args=(queue,))
    reader.start()
    for number in range(5):
        queue.put(number)
        print(f"{time.time() - began:.1f} s  放进 {number}")
    reader.join()
    print("还在里面的：", queue.qsize())
