from hardy import Pool


def compute(n):
    return sum(number * number for number in range(n))


if __name__ == "__main__":
    with Pool(2) as pool:  # two interpreters, two GILs, two processors
        assert pool.map(compute, [10, 100]) == [285, 328350]
