"""What examples and the README say that they print, comparable with what they do print."""

from __future__ import annotations

import re
from textwrap import dedent


def without_numbers_of_the_day(text: str) -> str:
    """The text with process ids replaced, which differ from run to run."""
    return re.sub(r"\bpid \d+", "pid N", text).strip()


def promised_output(docstring: str) -> str:
    """The indented text after `Prints:`; a line that is indented further goes on the one before.

    Raises:
        ValueError: there is none.
    """
    _, found, text = docstring.partition("\nPrints:\n")
    if not found:
        raise ValueError(f"no 'Prints:' in {docstring!r}")
    return re.sub(r"\n +", " ", dedent(text))


def code_blocks(markdown: str) -> list[tuple[str, str]]:
    """Each `python` block of a page, with the `text` block that follows it at once, or ""."""
    pattern = r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?"
    return [(code, text or "") for code, text in re.findall(pattern, markdown, re.MULTILINE | re.DOTALL)]
