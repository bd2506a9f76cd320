import time

from hardy import Process


def work() -> None:
    print("child: I begin")
    time.sleep(1)
    print("child: I have ended")


if __name__ == "__main__":
    process = Process(target=work)
    process.start()
    process.join()
    print("parent: the child has ended, exit code", process.exitcode)
