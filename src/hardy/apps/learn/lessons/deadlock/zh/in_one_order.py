from hardy import Lock, Process


def dine(name: str, first, second) -> None:
    for _ in range(1000):
        with first, second:
            pass
    print(f"{name}吃了 1000 次")


if __name__ == "__main__":
    left, right = Lock(), Lock()
    diners = [
        Process(target=dine, args=("苏格拉底", left, right)),
        Process(target=dine, args=("孔子", left, right)),  # 大家顺序相同
    ]
    for diner in diners:
        diner.start()
    for diner in diners:
        diner.join()
