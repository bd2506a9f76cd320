"""The main job: counters are killed, and the totals are those of a plain count."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from hardy.apps.demo import main
from hardy.apps.demo.job import run_job
from hardy.apps.demo.words import count_words, read_source, source_files


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_demo_counts_every_word_while_counters_are_killed(method: str) -> None:
    """It ends with 0 and a table that says so; plain lines when the output is no terminal."""
    command = [sys.executable, "-m", "hardy", "demo", "--kills", "6", "--counters", "3", "--interval", "0.05"]

    done = subprocess.run([*command, "--method", method], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│"))
    table = {name.strip(): value.strip() for name, value in rows.items()}
    assert table["against the plain count"] == "equal"
    assert int(table["counters killed"]) >= 6
    assert table["files"].endswith(")")
    assert set(table) == {
        "files",
        "words",
        "words/s",
        "counters killed",
        "items redelivered",
        "recovery, median",
        "recovery, worst",
        "against the plain count",
    }
    assert re.search(r"^files counted \d+, counters killed \d+ of 6$", done.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_job_gives_each_file_once_a_round() -> None:
    """Also those that a dead counter had; and it tells how long each of them took to come back."""
    shown = []

    outcome = run_job("fork", 3, 10, 0.02, 1, lambda files, killed: shown.append((files, killed)))

    files = list(source_files())
    assert outcome.tally.files == len(files) * outcome.tally.rounds
    assert sum(outcome.tally.words.values()) == outcome.tally.rounds * sum(
        sum(count_words(read_source(path)).values()) for path in files
    )
    assert len(outcome.killed) == 10
    assert outcome.recoveries_s() == sorted(outcome.recoveries_s())
    assert all(seconds > 0 for seconds in outcome.recoveries_s())
    assert shown[-1] == (outcome.tally.files, 10)


@pytest.mark.parametrize("options", [["--counters", "0"], ["--kills", "-1"], ["--interval", "0"]])
def test_demo_refuses_numbers_that_make_no_sense(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage, and status 2."""
    with pytest.raises(SystemExit) as caught:
        main(options)

    assert caught.value.code == 2
    assert "must be at least" in capsys.readouterr().err
