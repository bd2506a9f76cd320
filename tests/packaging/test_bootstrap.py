"""What the system lacks is named before anything is built, with the command that installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def bootstrap(tmp_path: Path):
    def run(python: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "tools/bootstrap.sh", python, tmp_path / "venv"],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
        )

    return run


def stand_in(folder: Path, case: str, answer: str) -> str:
    """A Python that answers a call that matches `case` in its own way, and else is this one."""
    script = folder / "python"
    script.write_text(f'#!/bin/bash\ncase "$*" in {case}) {answer};; *) exec "{sys.executable}" "$@";; esac\n')
    script.chmod(0o755)
    return str(script)


def test_bootstrap_creates_the_environment_when_nothing_is_missing(bootstrap, tmp_path: Path) -> None:
    """With all in place there is an environment of that Python, and no output."""
    done = bootstrap(sys.executable)

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "venv/bin/python").exists()


@pytest.mark.parametrize(
    ("case", "answer", "packages"),
    [
        ("*ensurepip*", "exit 1", {"python3-venv", f"python{VERSION}-venv"}),
        ("*get_path*", "echo /nowhere", {"python3-dev", f"python{VERSION}-dev"}),
        ("*", "echo no version is set; exit 127", {"python3"}),
        ('*"(3, 10)"*', "exit 1", {"python3"}),
    ],
    ids=["venv", "headers", "python that does not run", "old python"],
)
def test_bootstrap_names_the_package_when_python_lacks(
    bootstrap, tmp_path: Path, case: str, answer: str, packages: set[str]
) -> None:
    """The package and the command are on one line, the status is 1, and nothing is made."""
    done = bootstrap(stand_in(tmp_path, case, answer))

    assert done.returncode == 1
    assert packages & set(installed_by(done.stderr))
    assert not (tmp_path / "venv").exists()


def test_bootstrap_names_all_when_compiler_and_venv_are_missing(bootstrap, tmp_path: Path) -> None:
    """One run names everything, so that one command mends it."""
    done = bootstrap(stand_in(tmp_path, "*ensurepip*", "exit 1"), CC="no-such-compiler")

    assert done.returncode == 1
    assert {"gcc", "libc6-dev"} < set(installed_by(done.stderr))
    assert any(package.endswith("-venv") for package in installed_by(done.stderr))


def installed_by(message: str) -> list[str]:
    """The packages of the `apt-get install` line."""
    (line,) = (line for line in message.splitlines() if "apt-get install" in line)
    return line.partition("apt-get install")[2].split()
