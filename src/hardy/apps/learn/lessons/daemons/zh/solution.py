import signal

from hardy import Event, Process


def heartbeat(beating):
    beating.set()
    while True:
        signal.pause()  # 比如：时不时报个平安


if __name__ == "__main__":
    beating = Event()
    heart = Process(target=heartbeat, args=(beating,), daemon=True)
    heart.start()
    beating.wait()
    print("心在跳")
    print("我没事可做了")
