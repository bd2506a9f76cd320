import time

from hardy import Pool


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    tasks = [1.5, 0.5, 1.0]
    with Pool(3) as pool:
        print("imap，按任务的顺序：", list(pool.imap(wait, tasks)))
        print("imap_unordered，谁先好谁先来：", list(pool.imap_unordered(wait, tasks)))
        promise = pool.apply_async(wait, (0.5,))
        print("apply_async：一个承诺，兑现了：", promise.get())
