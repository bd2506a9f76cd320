import signal

from hardy import Event, Process


def mild(ready):
    ready.set()
    signal.pause()


def stubborn(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # 它不听 terminate()
    ready.set()
    while True:
        signal.pause()


def end(process):
    """请它结束；过一秒还没结束，就强行结束。"""


if __name__ == "__main__":
    for target in (mild, stubborn):
        ready = Event()
        process = Process(target=target, args=(ready,))
        process.start()
        ready.wait()
        end(process)
        print("还活着：", process.is_alive(), "退出码：", process.exitcode)
