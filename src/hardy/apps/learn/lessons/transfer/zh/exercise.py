import hashlib
import os
import tempfile

from hardy import Pool

PIECE = 100_000


def digest(path, start):
    """文件里从那里开始的一块的 SHA-256，写成十六进制。"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film")
        with open(path, "wb") as file:
            file.write(bytes(range(250)) * 1000)
        # 用进程池按顺序算出每一块的摘要。每个 worker 自己去读文件里的那一块。
        digests = []
        print(len(digests), "块：", *[each[:8] for each in digests])
