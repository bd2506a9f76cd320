import multiprocessing

import hardy

if __name__ == "__main__":
    print("multiprocessing: at most", multiprocessing.Queue()._maxsize, "objects")
    queue = hardy.Queue()
    queue.put_many(range(1_000_000))
    print("hardy: a million objects before the first reader;", "full:", queue.full())
    queue.get_many(1_000_000)
