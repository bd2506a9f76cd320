from hardy import Lock

lock = Lock()
for _ in range(1000):
    with lock:  # one compare-and-swap to take it, one exchange to release it: no system call
        pass
assert not lock.locked()
