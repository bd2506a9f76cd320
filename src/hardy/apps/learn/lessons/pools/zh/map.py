import time

from hardy import Pool


def square(number: int) -> int:
    time.sleep(1)
    return number * number


if __name__ == "__main__":
    with Pool(4) as pool:
        began = time.time()
        print(pool.map(square, range(8), chunksize=1))
        print(f"8 个 1 秒的任务，4 个 worker：{time.time() - began:.1f} s")
