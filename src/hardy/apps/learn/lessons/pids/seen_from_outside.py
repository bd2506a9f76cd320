import os
import subprocess

from hardy import Event, Process


def wait_for(done) -> None:
    done.wait()


if __name__ == "__main__":
    done = Event(name="closing time")
    baker = Process(target=wait_for, args=(done,), name="baker")
    baker.start()
    both = f"{os.getpid()},{baker.pid}"
    table = subprocess.run(["ps", "-o", "pid=,ppid=,args=", "-p", both], stdout=subprocess.PIPE, text=True)
    print("PID  PPID  COMMAND")
    for line in table.stdout.splitlines():
        pid, ppid, _, script = line.split()
        print(pid, ppid, "python", script)
    done.set()
    baker.join()
