import multiprocessing
import time
from multiprocessing.connection import wait
from pathlib import Path

import hardy


def is_zombie(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"


def end_together(gate) -> None:
    gate.wait()


if __name__ == "__main__":
    for module in (multiprocessing, hardy):
        context, gate = module.get_context("fork"), hardy.Event()
        processes = [context.Process(target=end_together, args=(gate,)) for _ in range(3)]
        for process in processes:
            process.start()
        pids = [process.pid for process in processes]
        gate.set()
        for process in processes:
            wait([process.sentinel])  # 它结束了；可没人 join，没人问
        time.sleep(1)
        print(f"{module.__name__}：3 个孩子里的僵尸：", sum(map(is_zombie, pids)))
        for process in processes:
            process.join()
