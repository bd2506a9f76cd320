import os
import signal

if __name__ == "__main__":
    if os.fork() == 0:
        os._exit(0)
    signal.pause()  # 它从来不问
