from hardy import Process

total = 0


def add(numbers):
    global total
    total += sum(numbers)


if __name__ == "__main__":
    parts = [range(1000), range(1000, 2000)]
    processes = [Process(target=add, args=(part,)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("总数是", total)  # 0。改好它。
