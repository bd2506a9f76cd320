"""What is known of each lock: `catalogue.txt`, read."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

__all__ = ["KINDS", "PRICES", "Entry", "entries", "find", "nearest"]

_FOLDER = Path(__file__).parent
# In the order in which they are told.
KINDS = {
    "exclusion": ("one at a time", "互斥"),
    "sharing": ("readers and writers", "读与写"),
    "signalling": ("waiting for each other", "等待与通知"),
    "files": ("files", "文件"),
    "databases": ("databases", "数据库"),
    "machines": ("machines", "多台机器"),
    "runtime": ("runtimes and processors", "运行时与处理器"),
    "lock-free": ("without locks", "不用锁"),
    "ills": ("ills", "毛病"),
}
PRICES = ("-", "ns", "µs", "ms")
_BETWEEN = ("threads", "processes", "transactions", "machines")
_FIELDS = "niwcfh"
_LINE = re.compile(r"([niwcfh])([=~]) (.+)")


class Entry(NamedTuple):
    """A lock, or an ill of locks.

    Attributes:
        id: its name in links and on the command line.
        kind: one of `KINDS`.
        between: those whom it concerns: threads, processes, transactions, machines.
        price: order of its cost when nobody else wants it, one of `PRICES`; "-" where that has no meaning.
        classes: what of hardy is or does it; empty: nothing.
        texts: for each language the name, what it is, when to choose it, what it costs, where it is found, and what
            there is of it in hardy.
    """

    id: str
    kind: str
    between: tuple[str, ...]
    price: str
    classes: tuple[str, ...]
    texts: dict[str, tuple[str, ...]]

    def name(self, language: str) -> str:
        """What it is called."""
        return self.texts[language][0]

    @property
    def snippet(self) -> str:
        """A program that shows it in hardy; "" when there is none."""
        path = _FOLDER / "snippets" / f"{self.id}.py"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@cache
def entries() -> tuple[Entry, ...]:
    """All of them, in the order of the catalogue.

    Raises:
        ValueError: the catalogue has a line or an entry that is wrong.
    """
    text = (_FOLDER / "catalogue.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^@ ", text, flags=re.MULTILINE)[1:]
    return tuple(_parse(block) for block in blocks)


def _parse(block: str) -> Entry:
    head, *lines = block.strip().splitlines()
    name, kind, between, price, classes = (part.strip() for part in head.split("|"))
    said: dict[str, str] = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None or found[1] + found[2] in said:
            raise ValueError(f"{name}: {line!r} is no line of an entry, or is there twice")
        said[found[1] + found[2]] = found[3]
    try:
        texts = {
            language: tuple(said[field + sign] for field in _FIELDS) for language, sign in (("en", "="), ("zh", "~"))
        }
    except KeyError as error:
        raise ValueError(f"{name}: nothing is said of {error}") from None
    whom = tuple(each.strip() for each in between.split(","))
    if kind not in KINDS or price not in PRICES or not set(whom) <= set(_BETWEEN):
        raise ValueError(f"{name}: unknown kind, price or parties: {head}")
    return Entry(
        name, kind, whom, price, tuple(each.strip() for each in classes.split(",") if each.strip() != "-"), texts
    )


def find(name: str) -> Entry | None:
    """The entry of that id or name, in either language, or of that class of hardy; None when there is none."""
    wanted = name.casefold()
    for entry in entries():
        if wanted in (entry.id, entry.name("en").casefold(), entry.name("zh").casefold()):
            return entry
    return next((entry for entry in entries() if wanted in [each.casefold() for each in entry.classes]), None)


def nearest(name: str) -> list[str]:
    """The ids most like it, the likest first."""
    ids = [entry.id for entry in entries()]
    within = [
        entry.id for entry in entries() if name.casefold() in " ".join(entry.texts["en"][:1] + entry.texts["zh"][:1])
    ]
    return difflib.get_close_matches(name.casefold(), ids, 3, 0.5) or within[:5]
