import time

from hardy import Process

if __name__ == "__main__":
    began = time.time()
    processes = [Process(target=time.sleep, args=(seconds,)) for seconds in (1, 2, 3)]
    for process in processes:
        process.start()  # all three run ...
    for process in processes:
        process.join()  # ... while we wait for the first
    print(f"1, 2 and 3 seconds, in parallel: {time.time() - began:.1f} s")
