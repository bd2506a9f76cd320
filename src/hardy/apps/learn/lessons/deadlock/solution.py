from hardy import Lock, Process, RawValue


def move(amount, source, target, first, second):
    for _ in range(50_000):
        with first, second:
            source.value -= amount
            target.value += amount


if __name__ == "__main__":
    a, b = RawValue("i", 1000), RawValue("i", 1000)
    lock_a, lock_b = Lock(), Lock()
    processes = [
        Process(target=move, args=(1, a, b, lock_a, lock_b)),
        Process(target=move, args=(1, b, a, lock_a, lock_b)),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("a:", a.value, "b:", b.value)
