from hardy import RWLock

lock = RWLock()
with lock.read():
    assert lock.acquire_read(timeout=1)  # together with other readers
    lock.release_read()
with lock.write():
    pass  # alone
