import os

from hardy import Process, current_process


def tell() -> None:
    me = current_process()
    print(f"{me.name}：pid {os.getpid()}，两者相同：{me.pid == os.getpid()}；父进程是 pid {os.getppid()}")


if __name__ == "__main__":
    print(f"{current_process().name}：pid {os.getpid()}")
    for name in (None, "面包师"):
        process = Process(target=tell, name=name)
        print("start 之前，子进程的 pid 是", process.pid)
        process.start()
        process.join()
