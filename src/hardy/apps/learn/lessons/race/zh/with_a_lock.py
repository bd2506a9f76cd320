from hardy import Barrier, Lock, Process, RawValue

TIMES = 20_000


def count(counter, lock, start) -> None:
    start.wait()
    for _ in range(TIMES):
        with lock:  # 一次一个：三步并作一步
            counter.value += 1


if __name__ == "__main__":
    counter, lock, start = RawValue("i", 0), Lock(), Barrier(4)
    processes = [Process(target=count, args=(counter, lock, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("数了：", 4 * TIMES, "，记下的一样多：", counter.value == 4 * TIMES)
