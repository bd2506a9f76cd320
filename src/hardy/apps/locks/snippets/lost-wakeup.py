from hardy import Condition, Process, Value


def make_ready(changed, ready):
    with changed:
        ready.value = 1
        changed.notify()


if __name__ == "__main__":
    changed, ready = Condition(), Value("b", 0, lock=False)
    process = Process(target=make_ready, args=(changed, ready))
    process.start()
    with changed:  # wait_for looks before it sleeps: a notify that came first is not missed
        assert changed.wait_for(lambda: ready.value, timeout=10)
    process.join()
