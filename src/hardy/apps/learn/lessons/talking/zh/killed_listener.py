import signal

from hardy import Event, Process, Queue


def listen(line, ready) -> None:
    print("第一个听的人听到：", line.get())
    ready.set()
    signal.pause()  # 还有得听，可它活不到那时候


if __name__ == "__main__":
    line, ready = Queue(), Event()
    line.put_many(["一", "二", "三"])
    listener = Process(target=listen, args=(line, ready))
    listener.start()
    ready.wait()
    listener.kill()
    listener.join()
    print("第一个听的人的退出码：", listener.exitcode)
    print("下一个听到：", line.get(), line.get())
