import os
import tempfile

from hardy import Process, locked_json


def add(path):
    for _ in range(20):
        with locked_json(path, default={"count": 0}) as data:  # others wait until the block ends
            data["count"] += 1


if __name__ == "__main__":
    path = os.path.join(tempfile.mkdtemp(), "count.json")
    processes = [Process(target=add, args=(path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    with locked_json(path) as data:
        assert data == {"count": 40}
