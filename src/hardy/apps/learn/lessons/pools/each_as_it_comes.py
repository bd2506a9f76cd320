import time

from hardy import Pool


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    tasks = [1.5, 0.5, 1.0]
    with Pool(3) as pool:
        print("imap, in the order of the tasks:", list(pool.imap(wait, tasks)))
        print("imap_unordered, as they come:", list(pool.imap_unordered(wait, tasks)))
        promise = pool.apply_async(wait, (0.5,))
        print("apply_async: a promise, kept:", promise.get())
