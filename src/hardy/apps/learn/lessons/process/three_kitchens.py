import time

import hardy


def cook(kitchen: str) -> None:
    with hardy.span(f"cook in {kitchen}"):  # gives it a name in the picture, and does nothing else
        sum(range(5_000_000))


if __name__ == "__main__":
    began = time.time()
    for _ in range(3):
        cook("one kitchen")
    print(f"three times in one kitchen: {time.time() - began:.1f} s")

    began = time.time()
    kitchens = [hardy.Process(target=cook, args=(f"kitchen {number}",)) for number in (1, 2, 3)]
    for kitchen in kitchens:
        kitchen.start()
    for kitchen in kitchens:
        kitchen.join()
    print(f"in three kitchens at once: {time.time() - began:.1f} s")
