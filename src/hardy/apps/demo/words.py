"""The input, and the plain count that the other is compared with."""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

__all__ = ["count_words", "read_source", "source_files"]

_WORD = re.compile(r"\w+")


def source_files() -> Iterator[Path]:
    """Every `.py` file of the running interpreter's standard library, sorted; installed packages left out."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if "site-packages" not in path.parts and "dist-packages" not in path.parts:
            yield path


def read_source(path: Path) -> str:
    """The text of a file; bytes that are no UTF-8 (the test suite has some) are replaced."""
    return path.read_text(encoding="utf-8", errors="replace")


def count_words(text: str) -> Counter[str]:
    """How often each word occurs."""
    return Counter(_WORD.findall(text))
