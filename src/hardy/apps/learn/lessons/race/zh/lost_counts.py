from hardy import Barrier, Process, RawValue

TIMES = 200_000


def count(counter, start) -> None:
    start.wait()
    for _ in range(TIMES):
        counter.value += 1  # 读、加一、写：三步


if __name__ == "__main__":
    counter, start = RawValue("i", 0), Barrier(4)
    processes = [Process(target=count, args=(counter, start)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("数了：", 4 * TIMES, "，记下的一样多：", counter.value == 4 * TIMES)
