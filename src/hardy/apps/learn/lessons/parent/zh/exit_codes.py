import os
import signal
import sys

from hardy import Process


def well() -> None:
    pass


def badly() -> None:
    sys.exit(3)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for target in (well, badly, killed):
        process = Process(target=target)
        process.start()
        process.join()
        print(f"{target.__name__}：退出码 {process.exitcode}")
