"""What we ship: sdist, the wheel built from it, and what is installed from that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/hardy"
# As a user has it: no failpoints, whatever the tests were started with.
ENV = {name: value for name, value in os.environ.items() if name not in ("HARDY_FAILPOINTS", "HARDY_ONLY")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, built from a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree") / "hardy"
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tree, ignore=ignored)
    run(sys.executable, "-c", "from setuptools import build_meta; build_meta.build_sdist('dist')", cwd=tree)
    (archive,) = (tree / "dist").glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the unpacked sdist, and from nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    # The tools of this environment, not of an isolated one, save a minute and the network.
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        ".",
        sdist,
        cwd=folder,
    )
    (archive,) = folder.glob("*.whl")
    return archive


def test_sdist_holds_what_a_packager_needs(sdist: Path) -> None:
    """Source, tests, licence and the way to run them."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"LICENSE", "Makefile", "tools/run_tests.py", "tests/conftest.py", "src/hardy/py.typed"} <= names
    assert not [name for name in names if name.endswith(".so")]


def test_wheel_holds_sources_and_stubs_of_the_native_part(wheel: Path) -> None:
    """Each file of the package is in the wheel, and so is one extension for each .pyx."""
    wanted = {
        f"hardy/{path.relative_to(SOURCE)}"
        for path in SOURCE.rglob("*")
        if path.suffix in (".py", ".pyx", ".pxd", ".h", ".pyi", ".typed", ".md", ".txt")
    }

    names = set(zipfile.ZipFile(wheel).namelist())

    assert wanted <= names
    extensions = {name.partition(".")[0] for name in names if name.endswith(".so")}
    assert extensions == {f"hardy/_core/{path.stem}" for path in SOURCE.glob("_core/*.pyx")}


def test_installed_wheel_works_without_the_source(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment the import and the command work, and there are no failpoints."""
    python = tmp_path / "venv/bin/python"
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    # Without its dependencies: neither the import nor --help may need them.
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=tmp_path,
    )

    printed = run(
        python,
        "-c",
        "import hardy, hardy._core.runtime as r; print(hardy.__file__, r.has_failpoints())",
        cwd=tmp_path,
    )
    usage = run(tmp_path / "venv/bin/hardy", "--help", cwd=tmp_path)

    assert printed.startswith(str(tmp_path / "venv"))
    assert printed.endswith("False\n")
    assert "demo" in usage
