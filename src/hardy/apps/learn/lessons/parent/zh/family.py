import os

from hardy import Process, current_process


def tell(role: str) -> None:
    print(f"{role}：我是 pid {os.getpid()}，父进程是 pid {os.getppid()}")


def child() -> None:
    tell("孩子")
    grandchild = Process(target=tell, args=("孙子",))
    grandchild.start()
    grandchild.join()


if __name__ == "__main__":
    tell("父亲")
    process = Process(target=child, name="小安")
    process.start()
    print(f"父亲：我的孩子{process.name}是 pid {process.pid}；我叫 {current_process().name}")
    process.join()
