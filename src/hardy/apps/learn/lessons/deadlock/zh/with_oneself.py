from hardy import Lock, RLock


def outer(lock) -> bool:
    with lock:
        return inner(lock)


def inner(lock) -> bool:
    if not lock.acquire(timeout=1):
        return False
    lock.release()
    return True


if __name__ == "__main__":
    print("Lock，已经拿着的人再拿：", outer(Lock()))
    print("RLock，已经拿着的人再拿：", outer(RLock()))
