"""The guides' code runs as it stands, and prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.procs import run_script

from .shown import code_blocks, without_numbers_of_the_day

ROOT = Path(__file__).parents[2]
GUIDES = ["docs/en/chat.md", "docs/en/pipelines.md", "docs/en/serve.md", "docs/en/supervise.md", "docs/en/trace.md"]
BLOCKS = [
    pytest.param(code, text, id=f"{Path(guide).stem}-{n}")
    for guide in GUIDES
    for n, (code, text) in enumerate(code_blocks((ROOT / guide).read_text()))
]


@pytest.mark.parametrize(("code", "text"), BLOCKS)
def test_guide_code_prints_what_stands_below_it(code: str, text: str) -> None:
    """Each Python block is a program of its own."""
    done = run_script(code)

    assert done.returncode == 0, done.stderr
    assert without_numbers_of_the_day(done.stdout) == without_numbers_of_the_day(text), done.stderr


@pytest.mark.parametrize("guide", GUIDES)
def test_guide_has_code_and_links_that_lead_somewhere(guide: str) -> None:
    """The test above tests something; and no link is broken."""
    path = ROOT / guide
    text = path.read_text()

    assert code_blocks(text)
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    assert not [link for link in links if not (path.parent / link).exists()]
