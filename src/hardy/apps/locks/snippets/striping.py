from hardy import Lock, RawArray

STRIPES = 16
locks, counts = [Lock() for _ in range(STRIPES)], RawArray("i", STRIPES)


def count(key):
    stripe = hash(key) % STRIPES
    with locks[stripe]:
        counts[stripe] += 1


for key in range(100):
    count(key)
assert sum(counts) == 100
