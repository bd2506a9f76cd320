import os

from hardy import Process, current_process


def tell(role: str) -> None:
    print(f"{role}: I am pid {os.getpid()}, my parent is pid {os.getppid()}")


def child() -> None:
    tell("child")
    grandchild = Process(target=tell, args=("grandchild",))
    grandchild.start()
    grandchild.join()


if __name__ == "__main__":
    tell("parent")
    process = Process(target=child, name="Anna")
    process.start()
    print(f"parent: my child {process.name} is pid {process.pid}; I am called {current_process().name}")
    process.join()
