import time

from hardy import Process

if __name__ == "__main__":
    began = time.time()
    for seconds in (1, 2, 3):
        process = Process(target=time.sleep, args=(seconds,))
        process.start()
        process.join()  # 下一个还没有启动
    print(f"1、2、3 秒，串行：{time.time() - began:.1f} s")
