"""The owner of a lock is killed inside it: the next one gets the lock, and is told.

Prints:
    OwnerDiedWarning: 'clerk' (pid 4127, SIGKILL) died holding Lock 'stock'.
      You hold the lock now, but what it guards may be half-written: check it.
    recovered: True
    and after the next release: False
"""

import os
import signal
import warnings

from hardy import Lock, Process


def die_inside(lock: Lock) -> None:
    with lock:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    lock = Lock(name="stock")
    clerk = Process(target=die_inside, args=(lock,), name="clerk")
    clerk.start()
    clerk.join()
    with warnings.catch_warnings(record=True) as caught, lock:
        print(f"{caught[0].category.__name__}: {caught[0].message}")
        print("recovered:", lock.recovered)
    with lock:
        print("and after the next release:", lock.recovered)
