from hardy import Process, Queue


def speak(line) -> None:
    for word in ("Have", "you", "eaten", "yet?"):
        line.put(word)
    line.put(None)  # the end: a value that can be no word


def listen(line) -> None:
    heard = []
    while (word := line.get()) is not None:
        heard.append(word)
    print("the listener heard:", " ".join(heard))


if __name__ == "__main__":
    line = Queue()  # made before the children, so that both can be given it
    children = [Process(target=speak, args=(line,)), Process(target=listen, args=(line,))]
    for child in children:
        child.start()
    for child in children:
        child.join()
