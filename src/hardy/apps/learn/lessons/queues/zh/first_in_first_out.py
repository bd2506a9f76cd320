from hardy import Queue

if __name__ == "__main__":
    queue = Queue(3)
    for letter in "abc":
        queue.put(letter)
    print("个数：", queue.qsize(), "满：", queue.full())
    print(queue.get(), queue.get(), queue.get())
    print("个数：", queue.qsize(), "空：", queue.empty())
