from hardy import Barrier, Lock, Process


def dine(mine, other, both_hold) -> None:
    with mine:
        both_hold.wait()
        with other:
            print("没有人走得到这里")


if __name__ == "__main__":
    left, right, both_hold = Lock(name="left"), Lock(name="right"), Barrier(2)
    diners = [
        Process(target=dine, args=(left, right, both_hold), name="Socrates"),
        Process(target=dine, args=(right, left, both_hold), name="Confucius"),
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
