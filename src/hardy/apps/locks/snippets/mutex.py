from hardy import Lock

lock = Lock(name="stock")
with lock:
    assert lock.locked()  # everybody else waits
assert lock.acquire(timeout=1)  # False after a second in vain
lock.release()
