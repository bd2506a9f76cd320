"""A copy of the tree in a temporary folder, with the native part built in place: to break it, or build it otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREE = (
    "src",
    "tests",
    "tools",
    "docs",
    "examples",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "MANIFEST.in",
)


class TreeCopy:
    """The copy.

    Attributes:
        root: its folder.
        core: the folder of the native part in it.
    """

    def __init__(self, folder: Path, cflags: str = "") -> None:
        self.root = folder / "hardy"
        self.core = self.root / "src/hardy/_core"
        self._cflags = cflags
        self.root.mkdir()
        for name in TREE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.root / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            elif source.exists():
                shutil.copy2(source, self.root / name)
        self.build()

    def build(self, extensions: tuple[str, ...] = ()) -> None:
        """Build these extensions in place, with failpoints; all when there are none.

        Raises:
            SystemExit: the compiler failed.
        """
        environment = {
            **os.environ,
            "HARDY_FAILPOINTS": "1",
            "HARDY_ONLY": ",".join(extensions),
            "CFLAGS": self._cflags,
        }
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the build failed:\n{done.stderr[-4000:]}")

    def pytest(self, arguments: tuple[str, ...], limit_s: int, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run pytest on the copy, under timeout(1)."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), **variables}
        command = ["timeout", "--signal=ABRT", "--kill-after=10", str(limit_s), sys.executable, "-m", "pytest", "-q"]
        return subprocess.run(
            [*command, "--no-header", *arguments], cwd=self.root, env=environment, capture_output=True, text=True
        )
