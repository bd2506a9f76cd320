import os
from pathlib import Path


def seen(pid: int) -> str:
    """内核怎么说一个进程的状态：R 运行，S 睡眠，Z 僵尸；或者没有它。"""
    about = Path(f"/proc/{pid}/stat")  # ps 也是从这里读的
    return about.read_text().rpartition(")")[2].split()[0] if about.exists() else "没有"


if __name__ == "__main__":
    pid = os.fork()
    if pid == 0:
        os._exit(7)  # 孩子马上结束，父进程不去问
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # 只看一眼：它结束了
    print("孩子结束了；状态是", seen(pid))
    os.kill(pid, 9)
    print("再杀一次；状态是", seen(pid))
    _, status = os.waitpid(pid, 0)  # 这才去问：这一问就回收了它
    print("它的退出码是", os.waitstatus_to_exitcode(status))
    print("回收了；状态是", seen(pid))
