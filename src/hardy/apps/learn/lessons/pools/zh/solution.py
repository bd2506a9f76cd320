from collections import Counter

from hardy import Pool

TEXTS = ["学 而 时 习 之", "学 而 不 思 则 罔", "思 而 不 学 则 殆"]


def count(text):
    """每个词在文中出现几次，用字典表示。"""
    return Counter(text.split())


if __name__ == "__main__":
    totals = Counter()
    with Pool(2) as pool:
        for counted in pool.imap_unordered(count, TEXTS):
            totals.update(counted)
    for word in ("学", "思", "而"):
        print(word, totals.get(word, 0))
