import os
import time


def grandchild(parent: int, line: int) -> None:
    os.write(line, f"orphan: my parent is the middle one: {os.getppid() == parent}\n".encode())
    while os.getppid() == parent:
        time.sleep(0.01)
    os.write(line, f"orphan: my parent has ended, and I was adopted by pid {os.getppid()}\n".encode())


if __name__ == "__main__":
    reading, line = os.pipe()
    gate, open_gate = os.pipe()
    middle = os.fork()
    if middle == 0:
        me = os.getpid()
        if os.fork() == 0:
            grandchild(me, line)
        else:
            os.read(gate, 1)  # until the grandchild has had its say
        os._exit(0)
    print(os.read(reading, 100).decode(), end="")
    os.write(open_gate, b".")
    os.waitpid(middle, 0)
    print(f"top: the middle one has ended; I am pid {os.getpid()}")
    print(os.read(reading, 100).decode(), end="")
