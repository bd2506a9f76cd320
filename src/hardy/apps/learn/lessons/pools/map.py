import time

from hardy import Pool


def square(number: int) -> int:
    time.sleep(1)
    return number * number


if __name__ == "__main__":
    with Pool(4) as pool:
        began = time.time()
        print(pool.map(square, range(8), chunksize=1))
        print(f"8 tasks of 1 s, 4 workers: {time.time() - began:.1f} s")
