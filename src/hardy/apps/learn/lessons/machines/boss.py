import os
import tempfile

from hardy import JoinableQueue, Queue
from hardy.managers import BaseManager

WHERE = os.path.join(tempfile.gettempdir(), f"boss-{os.getuid()}.address")
tasks, results = JoinableQueue(), Queue()


class Office(BaseManager):
    pass


Office.register("tasks", callable=lambda: tasks)
Office.register("results", callable=lambda: results)

if __name__ == "__main__":
    with Office(("127.0.0.1", 0), authkey=b"a secret that both know") as office:
        with open(WHERE + ".new", "w") as file:
            print(*office.address, file=file)  # in real life you tell it to the other machine
        os.replace(WHERE + ".new", WHERE)
        tasks.put_many([10, 20, 30])
        tasks.join()
        print("boss: the results are", sorted(results.get_many(3)))
        tasks.put(None)  # go home
        tasks.join()
    os.unlink(WHERE)
