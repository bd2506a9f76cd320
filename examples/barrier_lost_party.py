"""Three are to meet; one is killed while it waits: the others are told, instead of waiting for ever.

Prints:
    BrokenBarrierError: 'b' (pid 4127, SIGKILL) died while it waited at barrier 'start', which is broken.
      Call reset() once the party is replaced
"""

import time

from hardy import Barrier, BrokenBarrierError, Process


def meet(barrier: Barrier) -> None:
    try:
        barrier.wait()
    except BrokenBarrierError as error:
        print(f"BrokenBarrierError: {error}")


if __name__ == "__main__":
    barrier = Barrier(3, name="start")
    a, b = (Process(target=meet, args=(barrier,), name=name) for name in "ab")
    a.start()
    b.start()
    while barrier.n_waiting < 2:
        time.sleep(0.01)
    b.kill()
    a.result(timeout=10)
