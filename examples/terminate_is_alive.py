"""Ending a process, and asking whether it lives.

Prints:
    before start: alive False, exit code None
    started: alive True, exit code None
    terminated: alive False, exit code -15
    killed: alive False, exit code -9
"""

import signal

from hardy import Process


def show(when: str, process: Process) -> None:
    print(f"{when}: alive {process.is_alive()}, exit code {process.exitcode}")


if __name__ == "__main__":
    process = Process(target=signal.pause)
    show("before start", process)
    process.start()
    show("started", process)
    process.terminate()  # SIGTERM, which a process may handle
    process.join()
    show("terminated", process)
    process = Process(target=signal.pause)
    process.start()
    process.kill()  # SIGKILL, which nothing can
    process.join()
    show("killed", process)
