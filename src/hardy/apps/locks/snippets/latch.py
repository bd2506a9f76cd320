from hardy import Condition, Process, Value


class Latch:
    def __init__(self, count):
        self._changed, self._count = Condition(), Value("i", count, lock=False)

    def count_down(self):
        with self._changed:
            self._count.value -= 1
            self._changed.notify_all()

    def wait(self, timeout=None):
        with self._changed:
            return self._changed.wait_for(lambda: self._count.value <= 0, timeout)


if __name__ == "__main__":
    done = Latch(3)
    for _ in range(3):
        Process(target=done.count_down).start()
    assert done.wait(10)
