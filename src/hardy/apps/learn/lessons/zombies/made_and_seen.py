import os
from pathlib import Path


def seen(pid: int) -> str:
    """What the kernel says of the state of a process: R running, S sleeping, Z zombie; or nothing."""
    about = Path(f"/proc/{pid}/stat")  # ps reads it there, too
    return about.read_text().rpartition(")")[2].split()[0] if about.exists() else "nothing"


if __name__ == "__main__":
    pid = os.fork()
    if pid == 0:
        os._exit(7)  # the child ends at once, and its parent does not ask
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # only look: it has ended
    print("the child has ended; its state is", seen(pid))
    os.kill(pid, 9)
    print("killed once more; its state is", seen(pid))
    _, status = os.waitpid(pid, 0)  # now ask: this is what reaps it
    print("its exit code was", os.waitstatus_to_exitcode(status))
    print("reaped; its state is", seen(pid))
