import hardy
from hardy import Barrier, DeadlockError, Lock, Process


def dine(mine, other, both_hold) -> None:
    try:
        with mine:
            both_hold.wait()
            with other:
                print("有一个吃上了，因为另一个放了手")
    except DeadlockError as error:
        print(str(error).splitlines()[0])  # 其余的说谁停在哪里


if __name__ == "__main__":
    hardy.deadlock(action="raise", after=0.5)  # 对从这里启动的所有进程都有效
    left, right, both_hold = Lock(name="left"), Lock(name="right"), Barrier(2)
    diners = [
        Process(target=dine, args=(left, right, both_hold), name="Socrates"),
        Process(target=dine, args=(right, left, both_hold), name="Confucius"),
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
