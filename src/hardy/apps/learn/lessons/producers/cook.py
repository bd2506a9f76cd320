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
        os.unlink(PLACE)  # left by one that was killed
    with Shop(PLACE, authkey=b"dim sum"):
        for bun in range(8):
            steamer.put(f"bun {bun}")
        steamer.put(None)
        print("cook: 8 buns are in the steamer, or eaten already")
        steamer.join()  # until each was taken, and acknowledged
        print("cook: all are eaten, I go home")
