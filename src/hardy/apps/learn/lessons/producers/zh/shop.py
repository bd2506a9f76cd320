from hardy import Process, Queue


def cook(number: int, steamer) -> None:
    for bun in range(4):
        steamer.put(f"{number} 号厨师的包子 {bun}")  # 笼满了就等


def eat(steamer, eaten) -> None:
    for bun in steamer:  # 笼空了就等，没有厨师了就结束
        eaten.put(bun)


if __name__ == "__main__":
    steamer, eaten = Queue(5), Queue()
    cooks = [Process(target=cook, args=(number, steamer)) for number in (1, 2, 3)]
    guests = [Process(target=eat, args=(steamer, eaten)) for _ in range(2)]
    for process in cooks + guests:
        process.start()
    for process in cooks:
        process.join()
    steamer.close()  # 厨房关门：笼空了，客人的循环就结束
    for process in guests:
        process.join()
    print("吃掉的包子：", eaten.qsize(), "，笼里还剩 0")
    print("每个只吃一次：", len(set(eaten.get_many(100))) == 12)
