from collections import Counter

from hardy import Pool

TEXTS = ["to be or not to be", "be that as it may", "may the force be with you"]


def count(text):
    """How often each word comes in the text, as a dict."""
    return Counter(text.split())


if __name__ == "__main__":
    totals = Counter()
    with Pool(2) as pool:
        for counted in pool.imap_unordered(count, TEXTS):
            totals.update(counted)
    for word in ("be", "may", "to"):
        print(word, totals.get(word, 0))
