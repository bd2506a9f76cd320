from hardy import Barrier, Lock, Process


def dine(name: str, mine, other, both_hold, both_tried) -> None:
    with mine:
        print(f"{name}拿到一根筷子")
        both_hold.wait()  # 倒霉的那一刻，让它一定发生
        if other.acquire(timeout=2):
            print(f"{name}吃上了")
            other.release()
        else:
            print(f"{name}白等了另一根")
        both_tried.wait()


if __name__ == "__main__":
    left, right = Lock(name="left"), Lock(name="right")
    both_hold, both_tried = Barrier(2), Barrier(2)
    diners = [
        Process(target=dine, args=("苏格拉底", left, right, both_hold, both_tried)),
        Process(target=dine, args=("孔子", right, left, both_hold, both_tried)),
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
