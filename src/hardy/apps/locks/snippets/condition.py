from hardy import Condition, Process, Value


def fill(changed, amount):
    with changed:
        amount.value = 3
        changed.notify()


if __name__ == "__main__":
    changed, amount = Condition(), Value("i", 0, lock=False)
    process = Process(target=fill, args=(changed, amount))
    with changed:
        process.start()
        assert changed.wait_for(lambda: amount.value == 3, timeout=10)
    process.join()
