import signal

from hardy import Event, Process, Queue


def listen(line, ready) -> None:
    print("first listener heard:", line.get())
    ready.set()
    signal.pause()  # it has more to read, but will not live to do so


if __name__ == "__main__":
    line, ready = Queue(), Event()
    line.put_many(["one", "two", "three"])
    listener = Process(target=listen, args=(line, ready))
    listener.start()
    ready.wait()
    listener.kill()
    listener.join()
    print("exit code of the first listener:", listener.exitcode)
    print("the next one hears:", line.get(), line.get())
