import hashlib
import os
import tempfile

from hardy import Pool

PIECE = 100_000


def digest(path, start):
    """文件里从那里开始的一块的 SHA-256，写成十六进制。"""
    with open(path, "rb") as file:
        file.seek(start)
        return hashlib.sha256(file.read(PIECE)).hexdigest()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film")
        with open(path, "wb") as file:
            file.write(bytes(range(250)) * 1000)
        with Pool(2) as pool:
            digests = pool.starmap(digest, [(path, start) for start in range(0, 250_000, PIECE)])
        print(len(digests), "块：", *[each[:8] for each in digests])
