"""Many may read at a time; one writes alone.

Prints:
    2 readers were inside at the same time
    each writer was alone: True
"""

from typing import Any

from hardy import Barrier, Process, RWLock, Value


def read(lock: RWLock, inside: Barrier) -> int:
    with lock.read():
        inside.wait()  # passes only when all readers hold the lock at once
        return inside.parties


def write(lock: RWLock, shared: Any) -> bool:
    with lock.write():
        before = shared.value
        for _ in range(10_000):
            shared.value += 1
        return shared.value == before + 10_000


if __name__ == "__main__":
    lock = RWLock()
    inside = Barrier(2, timeout=10)
    readers = [Process(target=read, args=(lock, inside)) for _ in range(2)]
    for process in readers:
        process.start()
    print(*{reader.result() for reader in readers}, "readers were inside at the same time")
    shared = Value("i", 0, lock=False)
    writers = [Process(target=write, args=(lock, shared)) for _ in range(3)]
    for process in writers:
        process.start()
    print("each writer was alone:", all(writer.result() for writer in writers))
