import signal

from hardy import Event, Process


def heartbeat(beating):
    beating.set()
    while True:
        signal.pause()  # say: send a sign of life now and then


if __name__ == "__main__":
    beating = Event()
    heart = Process(target=heartbeat, args=(beating,))
    heart.start()
    beating.wait()
    print("the heart beats")
    print("I have nothing left to do")
    # The program hangs here. Change one line, so that it ends.
