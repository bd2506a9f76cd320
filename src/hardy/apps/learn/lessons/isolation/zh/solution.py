from hardy import Process


def add(numbers):
    return sum(numbers)


if __name__ == "__main__":
    parts = [range(1000), range(1000, 2000)]
    processes = [Process(target=add, args=(part,)) for part in parts]
    for process in processes:
        process.start()
    print("总数是", sum(process.result() for process in processes))
