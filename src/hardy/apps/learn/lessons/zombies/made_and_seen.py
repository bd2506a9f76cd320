import os
import subprocess


def seen_by_ps(pid: int) -> str:
    """What ps says of the state of a process: R running, S sleeping, Z zombie; or nothing."""
    asked = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], stdout=subprocess.PIPE, text=True)
    return asked.stdout.strip()[:1] or "nothing"


if __name__ == "__main__":
    pid = os.fork()
    if pid == 0:
        os._exit(7)  # the child ends at once, and its parent does not ask
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # only look: it has ended
    print("the child has ended; ps says:", seen_by_ps(pid))
    os.kill(pid, 9)
    print("killed once more; ps says:", seen_by_ps(pid))
    _, status = os.waitpid(pid, 0)  # now ask: this is what reaps it
    print("its exit code was", os.waitstatus_to_exitcode(status))
    print("reaped; ps says:", seen_by_ps(pid))
