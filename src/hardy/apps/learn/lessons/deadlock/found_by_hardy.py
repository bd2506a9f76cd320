import hardy
from hardy import Barrier, DeadlockError, Lock, Process


def dine(mine, other, both_hold) -> None:
    try:
        with mine:
            both_hold.wait()
            with other:
                print("one of them eats, since the other let go")
    except DeadlockError as error:
        print(str(error).splitlines()[0])  # the rest says who stands where


if __name__ == "__main__":
    hardy.deadlock(action="raise", after=0.5)  # in all processes that are started from here
    left, right, both_hold = Lock(name="left"), Lock(name="right"), Barrier(2)
    diners = [
        Process(target=dine, args=(left, right, both_hold), name="Socrates"),
        Process(target=dine, args=(right, left, both_hold), name="Confucius"),
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
