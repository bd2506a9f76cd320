import os
import time

import hardy


def work(seconds: float) -> None:
    with hardy.span(f"干活 {seconds} 秒"):  # 下面图里的名字
        time.sleep(seconds)


if __name__ == "__main__":
    children = [hardy.Process(target=work, args=(seconds,)) for seconds in (0.5, 1.0, 1.5)]
    for child in children:
        child.start()
    with hardy.span("忙别的，谁也不问"):
        time.sleep(2.5)
    for child in children:
        try:
            os.waitpid(child.pid, os.WNOHANG)
            print(child.name, "留给我们回收")
        except ChildProcessError:
            print(child.name, "早就回收了；退出码", child.exitcode)
