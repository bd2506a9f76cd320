from hardy import Process, Queue


def write(number, pages):
    for page in range(10):
        pages.put((number, page))


def check(pages, checked):
    # Take pages until there are no more, and put each into checked.
    pass


if __name__ == "__main__":
    pages, checked = Queue(4), Queue()
    # Three writers, one reader. At the end, print how many pages were checked, and of how many writers.
