import hashlib
import os
import tempfile

from hardy import Pool

PIECE = 100_000


def digest(path, start):
    """The SHA-256 of the piece of the file that begins there, as a string of hexadecimal digits."""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film")
        with open(path, "wb") as file:
            file.write(bytes(range(250)) * 1000)
        # Compute the digests of all pieces in a pool, in order. Each worker reads its piece of the file itself.
        digests = []
        print(len(digests), "pieces:", *[each[:8] for each in digests])
