"""Packages of npm, for the clients of others that are no Python."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["node_package"]

_INSTALL_S = 60
_KEPT = Path(__file__).parents[2] / "build/node"


def node_package(name: str) -> Path:
    """A folder in which node finds the package; kept, so that it is fetched once. Where it cannot be, skip the test.

    Args:
        name: of the package, with its version, as in "tus-js-client@4.3.1".
    """
    if missing := [program for program in ("node", "npm") if shutil.which(program) is None]:
        pytest.skip(f"needs {' and '.join(missing)}: apt-get install nodejs npm")
    folder = _KEPT / name.replace("/", "-")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            command = ["npm", "install", "--prefix", str(folder), "--prefer-offline", "--no-audit", "--no-fund"]
            command += ["--ignore-scripts", "--fetch-retries=0", name]
            try:
                subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm did not get {name} within {_INSTALL_S} s")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"npm cannot get {name}: {error.stderr[-300:]}")
            (folder / "complete").touch()
    return folder
