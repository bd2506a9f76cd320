from hardy import Lock, Process, RawValue


def buy(tickets, sold, lock):
    for _ in range(100):
        with lock:
            left = tickets.value
            if left > 0:
                tickets.value = left - 1
                sold.value += 1


if __name__ == "__main__":
    tickets, sold, lock = RawValue("i", 250), RawValue("i", 0), Lock()
    processes = [Process(target=buy, args=(tickets, sold, lock)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("卖出：", sold.value, "剩下：", tickets.value)
