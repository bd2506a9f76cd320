"""Every program of `examples/` prints what the text at its head says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from helpers.procs import run_script

from .shown import promised_output, without_numbers_of_the_day

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LONGEST = 40


def head_of(example: Path) -> str:
    return ast.get_docstring(ast.parse(example.read_text())) or ""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_prints_what_it_says(example: Path) -> None:
    """The output is the promised one, and nothing is complained about, unless the text says so."""
    head = head_of(example)

    done = run_script(example.read_text())

    assert done.returncode == 0, done.stderr
    assert without_numbers_of_the_day(done.stdout) == without_numbers_of_the_day(promised_output(head)), done.stderr
    assert not done.stderr or "stderr" in head, done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short(example: Path) -> None:
    """An example is read in a minute."""
    assert len(example.read_text().splitlines()) < LONGEST


def test_examples_are_all_in_the_table() -> None:
    """`examples/README.md` names each of them, and no others."""
    named = set(re.findall(r"`(\w+\.py)`", (ROOT / "examples/README.md").read_text()))

    assert named == {example.name for example in EXAMPLES}
