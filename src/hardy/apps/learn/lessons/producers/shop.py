from hardy import Process, Queue


def cook(number: int, steamer) -> None:
    for bun in range(4):
        steamer.put(f"bun {bun} of cook {number}")  # waits while the steamer is full


def eat(steamer, eaten) -> None:
    for bun in steamer:  # waits while it is empty, and ends when no cook is left
        eaten.put(bun)


if __name__ == "__main__":
    steamer, eaten = Queue(5), Queue()
    cooks = [Process(target=cook, args=(number, steamer)) for number in (1, 2, 3)]
    guests = [Process(target=eat, args=(steamer, eaten)) for _ in range(2)]
    for process in cooks + guests:
        process.start()
    for process in cooks:
        process.join()
    steamer.close()  # the kitchen is closed: the guests' loops end when the steamer is empty
    for process in guests:
        process.join()
    print("buns eaten:", eaten.qsize(), "- left in the steamer: 0")
    print("each of them once:", len(set(eaten.get_many(100))) == 12)
