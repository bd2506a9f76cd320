import time

import hardy


def cook(kitchen: str) -> None:
    with hardy.span(f"在{kitchen}做菜"):  # 给图里的这一段起个名字，别的什么也不做
        sum(range(5_000_000))


if __name__ == "__main__":
    began = time.time()
    for _ in range(3):
        cook("一个厨房")
    print(f"一个厨房里做三次：{time.time() - began:.1f} s")

    began = time.time()
    kitchens = [hardy.Process(target=cook, args=(f"{number} 号厨房",)) for number in (1, 2, 3)]
    for kitchen in kitchens:
        kitchen.start()
    for kitchen in kitchens:
        kitchen.join()
    print(f"三个厨房同时做：{time.time() - began:.1f} s")
