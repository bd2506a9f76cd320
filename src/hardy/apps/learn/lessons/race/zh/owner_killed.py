import signal
import warnings

from hardy import Event, Lock, OwnerDiedWarning, Process


def hold(lock, held) -> None:
    lock.acquire()
    held.set()
    signal.pause()  # 永远不放


if __name__ == "__main__":
    lock, held = Lock(name="stock"), Event()
    process = Process(target=hold, args=(lock, held), name="holder")
    process.start()
    held.wait()
    process.kill()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OwnerDiedWarning)
        with lock:
            print("锁到我手里了；是从死者手里接过来的：", lock.recovered)
    print(caught[0].message)
