from hardy import Pool

TEXTS = ["学 而 时 习 之", "学 而 不 思 则 罔", "思 而 不 学 则 殆"]


def count(text):
    """每个词在文中出现几次，用字典表示。"""


if __name__ == "__main__":
    totals = {}
    # 每篇文字交给池里的一个 worker 去数，再加起来。下面这些词各出现几次？
    for word in ("学", "思", "而"):
        print(word, totals.get(word, 0))
