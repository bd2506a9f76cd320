import hashlib
import os
import tempfile

from hardy import Pool

PIECE = 100_000


def digest(path, start):
    """The SHA-256 of the piece of the file that begins there, as a string of hexadecimal digits."""
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
        print(len(digests), "pieces:", *[each[:8] for each in digests])
