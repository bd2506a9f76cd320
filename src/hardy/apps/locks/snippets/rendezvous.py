from hardy import JoinableQueue, Process


def take(counter):
    assert counter.get() == "parcel"
    counter.task_done()


if __name__ == "__main__":
    counter = JoinableQueue(1)
    process = Process(target=take, args=(counter,))
    process.start()
    counter.put("parcel")
    counter.join()  # returns when it has been taken, and said so
    process.join()
