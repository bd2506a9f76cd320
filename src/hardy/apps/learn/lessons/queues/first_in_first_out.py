from hardy import Queue

if __name__ == "__main__":
    queue = Queue(3)
    for letter in "abc":
        queue.put(letter)
    print("size:", queue.qsize(), "full:", queue.full())
    print(queue.get(), queue.get(), queue.get())
    print("size:", queue.qsize(), "empty:", queue.empty())
