import multiprocessing

import hardy

if __name__ == "__main__":
    print("multiprocessing：最多", multiprocessing.Queue()._maxsize, "个对象")
    queue = hardy.Queue()
    queue.put_many(range(1_000_000))
    print("hardy：还没有人取，已放进一百万个对象；", "满了：", queue.full())
    queue.get_many(1_000_000)
