from hardy import Process, Queue


def ping(to_other, to_me) -> None:
    for number in range(3):
        to_other.put(number)
        print(f"ping {number}, pong {to_me.get()}")


def pong(to_other, to_me) -> None:
    for _ in range(3):
        to_other.put(10 * to_me.get())


if __name__ == "__main__":
    there, back = Queue(), Queue()
    players = [Process(target=ping, args=(there, back)), Process(target=pong, args=(back, there))]
    for player in players:
        player.start()
    for player in players:
        player.join()
