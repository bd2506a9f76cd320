"""The page of errors says what its programs say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.procs import run_script

from .shown import code_blocks

PAGE = Path(__file__).parents[2] / "docs/en/errors.md"
BLOCKS = code_blocks(PAGE.read_text())


def without_numbers_and_folders(text: str) -> str:
    """What differs from run to run and from Python to Python, taken out."""
    text = re.sub(r"\b(pid[ =])\d+", r"\1N", text)
    text = re.sub(r"0x[0-9a-f]+", "N", text)
    # Pickle's own words are other ones in other Pythons.
    text = re.sub(r"\((?:_pickle\.)?(?:PicklingError|AttributeError|TypeError): [^()]*\)", "(of pickle)", text)
    return re.sub(r"/\S*/(?=script\.py)", "", text)


def test_page_has_programs() -> None:
    """The test below tests something."""
    assert len(BLOCKS) >= 10
    assert all(text for _, text in BLOCKS)


@pytest.mark.parametrize(("code", "text"), BLOCKS, ids=range(len(BLOCKS)))
def test_program_fails_as_the_page_says(code: str, text: str) -> None:
    """The error, word for word."""
    done = run_script(code)

    assert without_numbers_and_folders(text).strip() in without_numbers_and_folders(done.stderr), done.stderr
