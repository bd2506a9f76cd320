import signal

from hardy import Event, Process


def work(ready) -> None:
    ready.set()
    signal.pause()


if __name__ == "__main__":
    for way in ("interrupt", "terminate", "kill"):
        ready = Event()
        process = Process(target=work, args=(ready,))
        process.start()
        ready.wait()
        getattr(process, way)()
        process.join()
        print(f"{way}()：退出码 {process.exitcode}")
