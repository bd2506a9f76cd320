from hardy import Lock, Process, RawValue


def move(amount, source, source_lock, target, target_lock):
    for _ in range(50_000):
        with source_lock:
            with target_lock:
                source.value -= amount
                target.value += amount


if __name__ == "__main__":
    a, b = RawValue("i", 1000), RawValue("i", 1000)
    lock_a, lock_b = Lock(), Lock()
    # 一个进程从 a 转到 b，另一个从 b 转到 a。迟早会互相等住。改好它。
    processes = [
        Process(target=move, args=(1, a, lock_a, b, lock_b)),
        Process(target=move, args=(1, b, lock_b, a, lock_a)),
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("a:", a.value, "b:", b.value)
