from hardy import Process, Queue
from hardy.managers import BaseManager

letters = Queue()


class Office(BaseManager):
    pass


Office.register("letters", callable=lambda: letters)


def far_away(address):
    office = Office(address, authkey=b"secret")
    office.connect()
    office.letters().put("远方的问候")


if __name__ == "__main__":
    with Office(("127.0.0.1", 0), authkey=b"secret") as office:
        process = Process(target=far_away, args=(office.address,))
        process.start()
        print(letters.get())
        process.join()
