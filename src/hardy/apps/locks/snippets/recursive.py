from hardy import RLock

lock = RLock()
with lock:
    with lock:  # a Lock would wait for itself, for ever
        pass
