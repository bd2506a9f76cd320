import signal

from hardy import Event, Process


def mild(ready):
    ready.set()
    signal.pause()


def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it does not listen to terminate()
    ready.set()
    while True:
        signal.pause()


def end(process):
    """Ask it to end; when it has not ended after a second, end it by force."""


if __name__ == "__main__":
    for target in (mild, stubborn):
        ready = Event()
        process = Process(target=target, args=(ready,))
        process.start()
        ready.wait()
        end(process)
        print("alive:", process.is_alive(), "exit code:", process.exitcode)
