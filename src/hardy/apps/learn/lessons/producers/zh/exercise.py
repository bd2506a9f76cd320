from hardy import Process, Queue


def write(number, pages):
    for page in range(10):
        pages.put((number, page))


def check(pages, checked):
    # 一页一页地取，取到没有为止，每页放进 checked。
    pass


if __name__ == "__main__":
    pages, checked = Queue(4), Queue()
    # 三个写的，一个读的。最后打印查了多少页，是几个人写的。
