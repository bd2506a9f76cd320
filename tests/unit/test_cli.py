"""The command line's frame; each sub-command has tests of its own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from hardy import cli


def test_cli_lists_its_commands_when_called_bare(capsys: pytest.CaptureFixture[str]) -> None:
    """`hardy` alone shows what it can do, and that is no error."""
    status = cli.main([])

    assert status == 0
    assert "demo" in capsys.readouterr().out


def test_cli_refuses_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command is named, with those that there are."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["dmeo"])

    assert caught.value.code == 2
    assert re.search("dmeo.*demo", capsys.readouterr().err, re.DOTALL)


def test_cli_hands_the_rest_to_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands after the command is the command's own, options too; its status is the exit status."""
    seen = []
    command = type(sys)("demo_stand_in")
    command.main = lambda argv: seen.append(argv) or 7
    monkeypatch.setitem(sys.modules, "demo_stand_in", command)
    monkeypatch.setitem(cli.COMMANDS, "demo", cli.Command("demo_stand_in", "stands in"))

    status = cli.main(["demo", "--kills", "3", "--help"])

    assert (status, seen) == (7, [["--kills", "3", "--help"]])


def test_module_run_prints_its_version() -> None:
    """`python -m hardy` is the same command."""
    done = subprocess.run([sys.executable, "-m", "hardy", "--version"], capture_output=True, text=True, check=True)

    assert re.fullmatch(r"hardy \d+\.\d+\.\d+\n", done.stdout)
