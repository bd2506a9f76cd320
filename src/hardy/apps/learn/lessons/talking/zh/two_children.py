from hardy import Process, Queue


def speak(line) -> None:
    for word in ("吃", "了", "没", "有？"):
        line.put(word)
    line.put(None)  # 结束：一个不可能是话的值


def listen(line) -> None:
    heard = []
    while (word := line.get()) is not None:
        heard.append(word)
    print("听的人听到：", " ".join(heard))


if __name__ == "__main__":
    line = Queue()  # 在孩子之前造好，才能两个都给
    children = [Process(target=speak, args=(line,)), Process(target=listen, args=(line,))]
    for child in children:
        child.start()
    for child in children:
        child.join()
