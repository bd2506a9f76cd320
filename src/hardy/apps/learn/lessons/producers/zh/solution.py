from hardy import Process, Queue


def write(number, pages):
    for page in range(10):
        pages.put((number, page))


def check(pages, checked):
    for page in pages:
        checked.put(page)


if __name__ == "__main__":
    pages, checked = Queue(4), Queue()
    writers = [Process(target=write, args=(number, pages)) for number in range(3)]
    reader = Process(target=check, args=(pages, checked))
    for process in [*writers, reader]:
        process.start()
    for process in writers:
        process.join()
    pages.close()
    reader.join()
    done = checked.get_many(100)
    print(len(done), "页，写的人有", len({number for number, _ in done}), "个")
