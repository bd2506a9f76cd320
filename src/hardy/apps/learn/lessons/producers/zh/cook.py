import os
import tempfile

from hardy import JoinableQueue
from hardy.managers import BaseManager

PLACE = os.path.join(tempfile.gettempdir(), f"steamer-{os.getuid()}.sock")
steamer = JoinableQueue(5)


class Shop(BaseManager):
    pass


Shop.register("steamer", callable=lambda: steamer)

if __name__ == "__main__":
    if os.path.exists(PLACE):
        os.unlink(PLACE)  # 被杀的那个留下的
    with Shop(PLACE, authkey=b"dim sum"):
        for bun in range(8):
            steamer.put(f"包子 {bun}")
        steamer.put(None)
        print("厨师：8 个包子，不在笼里就是吃了")
        steamer.join()  # 等到每一个都被取走、并说过吃完了
        print("厨师：都吃完了，我回家")
