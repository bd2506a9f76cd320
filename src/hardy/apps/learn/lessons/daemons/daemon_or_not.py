import time

from hardy import Event, Process


def tick(ready) -> None:
    while True:
        print("daemon: tick")
        ready.set()
        time.sleep(0.4)


def work() -> None:
    time.sleep(2)
    print("ordinary child: finished, though the parent had nothing left to do")


if __name__ == "__main__":
    ready = Event()
    daemon = Process(target=tick, args=(ready,), daemon=True)
    ordinary = Process(target=work)
    daemon.start()
    ordinary.start()
    ready.wait()
    print("parent: my last line")
