import signal
import sys
import time

from hardy import Event, Process


def tidy(number, frame) -> None:
    time.sleep(2)  # say: write what is unsaved
    print("child: I have tidied up")
    sys.exit(0)


def work(ready) -> None:
    signal.signal(signal.SIGTERM, tidy)
    ready.set()
    signal.pause()


if __name__ == "__main__":
    ready = Event()
    process = Process(target=work, args=(ready,))
    process.start()
    ready.wait()
    process.terminate()
    print("just after terminate(): alive:", process.is_alive())
    process.join()
    print("after join(): alive:", process.is_alive(), "- exit code:", process.exitcode)
