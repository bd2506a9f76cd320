import time

from hardy import Empty, Full, Queue

if __name__ == "__main__":
    queue = Queue(1)
    queue.put("first")
    try:
        queue.put_nowait("second")
    except Full:
        print("put_nowait：马上 Full")
    began = time.time()
    try:
        queue.put("second", timeout=0.5)
    except Full:
        print(f"带时限的 put：Full，过了 {time.time() - began:.1f} s")
    print("取到：", queue.get())
    try:
        queue.get_nowait()
    except Empty:
        print("get_nowait：马上 Empty")
