from multiprocessing import Process, Queue

GUESTS = 2


def cook(steamer) -> None:
    for bun in range(6):
        steamer.put(bun)


def eat(steamer) -> None:
    while steamer.get() is not None:
        pass
    print("一位客人看到了字条：打烊")


if __name__ == "__main__":
    steamer = Queue(4)
    cooks = [Process(target=cook, args=(steamer,)) for _ in range(2)]
    guests = [Process(target=eat, args=(steamer,)) for _ in range(GUESTS)]
    for process in cooks + guests:
        process.start()
    for process in cooks:
        process.join()
    for _ in range(GUESTS):
        steamer.put(None)  # 最后一个包子后面，每位客人一张字条
    for process in guests:
        process.join()
