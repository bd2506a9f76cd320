"""A process that ended is reaped with no join() and no other call: no zombie is left.

Prints:
    10 processes have ended, and none was joined
    zombies after 2 s: 0
    their exit codes are known all the same: [0]
"""

import time
from pathlib import Path

from hardy import Process


def is_zombie(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def nothing() -> None:
    pass


if __name__ == "__main__":
    processes = [Process(target=nothing) for _ in range(10)]
    for process in processes:
        process.start()
    time.sleep(2)
    print("10 processes have ended, and none was joined")
    print("zombies after 2 s:", sum(is_zombie(process.pid) for process in processes))
    print("their exit codes are known all the same:", sorted({process.exitcode for process in processes}))
