"""Whether what a script printed is what it should have printed, apart from the numbers of the day."""

from __future__ import annotations

import difflib
import re

__all__ = ["ANY_NUMBER", "ANY_ORDER", "EXACT", "OUTLINE", "WAYS", "difference", "normalised", "same"]

_OF_THE_DAY = (
    (re.compile(r"\b(pid|ppid|parent|PID|PPID)([ =:]+)\d+"), r"\1\2N"),
    (re.compile(r"\b(port|端口)([ =:]+)\d+|(127\.0\.0\.1[: ])\d+"), r"\1\2\3N"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "D"),
    (re.compile(r"\b\d\d:\d\d\b"), "T"),
    (re.compile(r"\b\d+\.\d+( [KMG]iB\b)"), r"N\1"),
    (re.compile(r"/[^\s\"]*/hardy-learn-\w+/"), ""),
    (re.compile(r"\b\d+\.\d+( ?[mµ]?s\b)"), r"N\1"),
    (re.compile(r"0x[0-9a-f]+"), "N"),
    (re.compile(r"/\S*/(?=[\w.-]+\.py)"), ""),
    # The head of ps, as far right as its numbers are long; a row of ps, and of hardy ps.
    (re.compile(r"^ +(?=PID\b)", re.MULTILINE), ""),
    (re.compile(r"^ *\d+ +\d+ ", re.MULTILINE), "N N "),
    (re.compile(r"^ *\d+ +(?=└|\w+\.py\b)", re.MULTILINE), "N "),
    (re.compile(r"[ \t]+"), " "),
)


# How outputs are compared: line by line; in any order, where who is faster decides; whichever lines there are, where
# it also decides how often one comes; the lines that are not indented, where tracebacks differ from Python to Python.
EXACT, ANY_ORDER, ANY_NUMBER, OUTLINE = "exact", "any-order", "any-number", "outline"
WAYS = (EXACT, ANY_ORDER, ANY_NUMBER, OUTLINE)


def normalised(text: str, way: str = EXACT) -> list[str]:
    """Its lines, with process ids, ports, times, addresses and folders replaced.

    Args:
        text: what was printed.
        way: one of `WAYS`.
    """
    for pattern, instead in _OF_THE_DAY:
        text = pattern.sub(instead, text)
    # Marks below a line of a traceback, which some Pythons draw and others do not.
    lines = [line.rstrip() for line in text.strip().splitlines() if not re.fullmatch(r"[ ~^]+", line)]
    if way == OUTLINE:
        return [line for line in lines if line and not line.startswith(" ")]
    if way == ANY_NUMBER:
        return sorted(set(lines))
    return sorted(lines) if way == ANY_ORDER else lines


def same(wanted: str, printed: str, way: str = EXACT) -> bool:
    """Whether they say the same."""
    return normalised(wanted, way) == normalised(printed, way)


def difference(wanted: str, printed: str, way: str = EXACT) -> str:
    """Lines that are missing (-) and lines that are too many (+)."""
    lines = difflib.ndiff(normalised(wanted, way), normalised(printed, way))
    return "\n".join(line for line in lines if not line.startswith("?"))
