from hardy import Pool

TEXTS = ["to be or not to be", "be that as it may", "may the force be with you"]


def count(text):
    """How often each word comes in the text, as a dict."""


if __name__ == "__main__":
    totals = {}
    # Count each text in a worker of a pool, and add up. How often does each of these come?
    for word in ("be", "may", "to"):
        print(word, totals.get(word, 0))
