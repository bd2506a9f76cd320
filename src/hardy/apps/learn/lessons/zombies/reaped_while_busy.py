import os
import time

import hardy


def work(seconds: float) -> None:
    with hardy.span(f"works for {seconds} s"):  # a name in the picture below
        time.sleep(seconds)


if __name__ == "__main__":
    children = [hardy.Process(target=work, args=(seconds,)) for seconds in (0.5, 1.0, 1.5)]
    for child in children:
        child.start()
    with hardy.span("busy with other things, asks about nobody"):
        time.sleep(2.5)
    for child in children:
        try:
            os.waitpid(child.pid, os.WNOHANG)
            print(child.name, "was left for us to reap")
        except ChildProcessError:
            print(child.name, "was reaped long ago; exit code", child.exitcode)
