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
            print(*office.address, file=file)  # 真实情况下，由你告诉另一台机器
        os.replace(WHERE + ".new", WHERE)
        tasks.put_many([10, 20, 30])
        tasks.join()
        print("老板：结果是", sorted(results.get_many(3)))
        tasks.put(None)  # 回家吧
        tasks.join()
    os.unlink(WHERE)
