import os

from hardy import Process, current_process


def tell() -> None:
    me = current_process()
    print(f"{me.name}: pid {os.getpid()}, the same as {me.pid == os.getpid()}; my parent's is pid {os.getppid()}")


if __name__ == "__main__":
    print(f"{current_process().name}: pid {os.getpid()}")
    for name in (None, "baker"):
        process = Process(target=tell, name=name)
        print("before start, the child's pid is", process.pid)
        process.start()
        process.join()
