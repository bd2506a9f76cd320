"""What the README and the pages beside it say is true: their code runs, their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.procs import run_script

from .shown import code_blocks, without_numbers_of_the_day

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "examples/README.md",
    "docs/en/differences.md",
    "docs/en/errors.md",
    "docs/en/pools.md",
    "docs/en/migrate.md",
    "docs/en/transfer.md",
    "docs/en/tickets.md",
    "docs/en/serve.md",
    "docs/en/chat.md",
    "docs/en/observe.md",
    "docs/en/trace.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/en/design").glob("*.md")),
]
WITH_CODE = ["README.md", "docs/en/pools.md"]
BLOCKS = {
    f"{page}-{number}": block
    for page in WITH_CODE
    for number, block in enumerate(code_blocks((ROOT / page).read_text()))
}


@pytest.mark.parametrize(("code", "text"), BLOCKS.values(), ids=BLOCKS)
def test_code_of_a_page_prints_what_stands_below_it(code: str, text: str) -> None:
    """Each Python block runs as it stands, as a program of its own."""
    done = run_script(code)

    assert done.returncode == 0, done.stderr
    assert without_numbers_of_the_day(done.stdout) == without_numbers_of_the_day(text), done.stderr


def test_pages_have_code() -> None:
    """The test above tests something."""
    assert {name.rpartition("-")[0] for name in BLOCKS} == set(WITH_CODE)


@pytest.mark.parametrize("page", PAGES)
def test_page_names_only_files_that_exist(page: str) -> None:
    """Links and named files of the repository are there."""
    path = ROOT / page
    text = path.read_text()

    links = [path.parent / link for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)]
    named = [ROOT / name for name in re.findall(r"`((?:tests|docs|examples|src|tools)/[\w./-]+\.\w+)`", text)]

    assert not [str(file) for file in links + named if not file.exists()]
