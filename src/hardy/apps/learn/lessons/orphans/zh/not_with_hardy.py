import multiprocessing
import os
import select
import signal

import hardy


def middle(context, pids) -> None:
    child = context.Process(target=signal.pause)
    child.start()
    pids.put(child.pid)
    signal.pause()


if __name__ == "__main__":
    for module in (multiprocessing, hardy):
        context = module.get_context("fork")
        pids = hardy.Queue()
        process = context.Process(target=middle, args=(context, pids))
        process.start()
        grandchild = os.pidfd_open(pids.get())
        process.kill()
        process.join()
        ended, _, _ = select.select([grandchild], [], [], 3)
        print(f"{module.__name__}：父亲被杀；3 秒后孩子还活着：{not ended}")
        if not ended:
            signal.pidfd_send_signal(grandchild, signal.SIGKILL)
