import os
import signal
import warnings

from hardy import Lock, OwnerDiedWarning, Process


def die_with_it(lock):
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    lock = Lock(name="stock")
    process = Process(target=die_with_it, args=(lock,))
    process.start()
    process.join()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always", OwnerDiedWarning)
        with lock:
            assert lock.recovered
