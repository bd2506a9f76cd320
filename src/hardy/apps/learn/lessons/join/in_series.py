import time

from hardy import Process

if __name__ == "__main__":
    began = time.time()
    for seconds in (1, 2, 3):
        process = Process(target=time.sleep, args=(seconds,))
        process.start()
        process.join()  # the next one is not even started yet
    print(f"1, 2 and 3 seconds, in series: {time.time() - began:.1f} s")
