import os
import tempfile
import time

from hardy.managers import BaseManager

PLACE = os.path.join(tempfile.gettempdir(), f"steamer-{os.getuid()}.sock")


class Shop(BaseManager):
    pass


Shop.register("steamer")

if __name__ == "__main__":
    shop = Shop(PLACE, authkey=b"dim sum")
    while True:
        try:
            shop.connect()
            break
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.1)  # 店还没开门
    steamer = shop.steamer()
    eaten = 0
    while steamer.get() is not None:
        eaten += 1
        steamer.task_done()
    print("客人：我吃了", eaten, "个包子")
    try:
        steamer.task_done()
    except (EOFError, ConnectionError):
        pass  # 厨师听到了，没来得及回答就回家了
