from hardy import Barrier, Lock, Process


def dine(name: str, mine, other, both_hold, both_tried) -> None:
    with mine:
        print(f"{name} has one chopstick")
        both_hold.wait()  # the unlucky moment, made to happen for certain
        if other.acquire(timeout=2):
            print(f"{name} eats")
            other.release()
        else:
            print(f"{name} has waited in vain for the other")
        both_tried.wait()


if __name__ == "__main__":
    left, right = Lock(name="left"), Lock(name="right")
    both_hold, both_tried = Barrier(2), Barrier(2)
    diners = [
        Process(target=dine, args=("Socrates", left, right, both_hold, both_tried)),
        Process(target=dine, args=("Confucius", right, left, both_hold, both_tried)),
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
