import time

from hardy import Process

if __name__ == "__main__":
    began = time.time()
    processes = [Process(target=time.sleep, args=(seconds,)) for seconds in (1, 2, 3)]
    for process in processes:
        process.start()  # 三个都在跑……
    for process in processes:
        process.join()  # ……我们先等第一个
    print(f"1、2、3 秒，并行：{time.time() - began:.1f} s")
