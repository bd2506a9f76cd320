import os

from hardy import NamedLock

# Any program of this user that says the same name takes the same lock. No file is made.
lock = NamedLock(f"backup-{os.getpid()}")
with lock:
    assert not NamedLock(f"backup-{os.getpid()}").acquire(timeout=0)
