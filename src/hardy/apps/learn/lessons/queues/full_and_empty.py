import time

from hardy import Empty, Full, Queue

if __name__ == "__main__":
    queue = Queue(1)
    queue.put("first")
    try:
        queue.put_nowait("second")
    except Full:
        print("put_nowait: Full, at once")
    began = time.time()
    try:
        queue.put("second", timeout=0.5)
    except Full:
        print(f"put with a time limit: Full, after {time.time() - began:.1f} s")
    print("get:", queue.get())
    try:
        queue.get_nowait()
    except Empty:
        print("get_nowait: Empty, at once")
