from hardy import Event, Process

if __name__ == "__main__":
    stop = Event()
    workers = [Process(target=stop.wait) for _ in range(3)]
    for worker in workers:
        worker.start()
    stop.set()  # frees all of them
    assert all(worker.result() for worker in workers)
