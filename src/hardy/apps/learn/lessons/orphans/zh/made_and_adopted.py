import os
import time


def grandchild(parent: int, line: int) -> None:
    os.write(line, f"孤儿：我的父亲是中间那个：{os.getppid() == parent}\n".encode())
    while os.getppid() == parent:
        time.sleep(0.01)
    os.write(line, f"孤儿：父亲结束了，收养我的是 pid {os.getppid()}\n".encode())


if __name__ == "__main__":
    reading, line = os.pipe()
    gate, open_gate = os.pipe()
    middle = os.fork()
    if middle == 0:
        me = os.getpid()
        if os.fork() == 0:
            grandchild(me, line)
        else:
            os.read(gate, 1)  # 等孙子把话说完
        os._exit(0)
    print(os.read(reading, 100).decode(), end="")
    os.write(open_gate, b".")
    os.waitpid(middle, 0)
    print(f"最上面：中间那个结束了；我是 pid {os.getpid()}")
    print(os.read(reading, 100).decode(), end="")
