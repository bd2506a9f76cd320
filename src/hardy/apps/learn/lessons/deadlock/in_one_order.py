from hardy import Lock, Process


def dine(name: str, first, second) -> None:
    for _ in range(1000):
        with first, second:
            pass
    print(f"{name} has eaten 1000 times")


if __name__ == "__main__":
    left, right = Lock(), Lock()
    diners = [
        Process(target=dine, args=("Socrates", left, right)),
        Process(target=dine, args=("Confucius", left, right)),  # the same order for all
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
