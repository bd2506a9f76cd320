import signal
import sys
import time

from hardy import Event, Process


def tidy(number, frame) -> None:
    time.sleep(2)  # 比如：把没存的存好
    print("孩子：我收拾好了")
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
    print("terminate() 刚过，还活着：", process.is_alive())
    process.join()
    print("join() 之后，还活着：", process.is_alive(), "，退出码：", process.exitcode)
