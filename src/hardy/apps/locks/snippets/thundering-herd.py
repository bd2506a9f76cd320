from hardy import Process, Queue

if __name__ == "__main__":
    queue = Queue()
    readers = [Process(target=queue.get) for _ in range(3)]
    for reader in readers:
        reader.start()
    queue.put("one")  # wakes one of the three
    queue.put("two")
    queue.put("three")
    assert sorted(reader.result() for reader in readers) == ["one", "three", "two"]
