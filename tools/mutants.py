"""Break the core in one place after another, and show that a test notices each time.

A copy of the tree is built once, with failpoints. For each mutant its text is changed there, what depends on it is
built, and the tests that it names are run; at least one must fail. The same tests must pass on the unbroken copy.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutants_list import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
TREE = ("src", "tests", "tools", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
LIMIT_S = 240


def apply(mutant: Mutant, root: Path) -> str:
    """Change the file under `root`; its text before.

    Raises:
        SystemExit: the text to change is not there exactly once.
    """
    path = root / "src/hardy/_core" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"mutant {mutant.name!r}: its text occurs {text.count(mutant.old)} times in {mutant.file}, not once"
        )
    path.write_text(text.replace(mutant.old, mutant.new))
    return text


class Copy:
    """A tree to break."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "hardy"
        self.core = self.root / "src/hardy/_core"
        self.whole = folder / "whole"
        self.root.mkdir()
        for name in TREE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.root / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            elif source.exists():
                shutil.copy2(source, self.root / name)
        self.build(())
        shutil.copytree(self.core, self.whole)

    def build(self, extensions: tuple[str, ...]) -> None:
        """Build these extensions in place, all when there are none."""
        environment = {**os.environ, "HARDY_FAILPOINTS": "1", "HARDY_ONLY": ",".join(extensions)}
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the build failed:\n{done.stderr[-4000:]}")

    def restore(self, mutant: Mutant) -> None:
        """The file, and what was built from it, as before; with new times, so that a build sees the change."""
        shutil.copyfile(self.whole / mutant.file, self.core / mutant.file)
        for extension in mutant.extensions:
            for built in self.whole.glob(f"{extension}.*.so"):
                shutil.copy2(built, self.core / built.name)

    def failing(self, tests: tuple[str, ...]) -> list[str]:
        """Run the tests until one fails; which did (or why there is no answer)."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "HARDY_AIMED": "all"}
        command = ["timeout", "--signal=ABRT", "--kill-after=10", str(LIMIT_S), sys.executable, "-m", "pytest", "-q"]
        command += ["-x", "--no-header", "--timeout=60", *tests]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            return []
        if done.returncode not in (1, 124, 134, 137):
            raise SystemExit(f"pytest could not run {tests}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        named = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return named or [f"hung for {LIMIT_S} s: {' '.join(tests)}"]


def main() -> int:
    """Go through the list and print the table; 1 when a mutant lives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--list", action="store_true", help="name them and check that each applies")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    with tempfile.TemporaryDirectory(prefix="hardy-mutants-") as folder:
        if options.list:
            shutil.copytree(ROOT / "src/hardy/_core", Path(folder) / "src/hardy/_core")
            for mutant in chosen:
                text = apply(mutant, Path(folder))
                (Path(folder) / "src/hardy/_core" / mutant.file).write_text(text)
                print(mutant.name)
            return 0
        copy = Copy(Path(folder))
        for tests in sorted({mutant.tests for mutant in chosen}):
            if failing := copy.failing(tests):
                raise SystemExit(f"without any mutant, these fail: {failing}")
        lives = 0
        for number, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            apply(mutant, copy.root)
            copy.build(mutant.extensions)
            failing = copy.failing(mutant.tests)
            copy.restore(mutant)
            lives += not failing
            verdict = f"killed by {failing[0].split('::', 1)[-1]}" if failing else "LIVES"
            print(f"{number:3} {time.monotonic() - began:5.0f} s  {mutant.name:75} {verdict}", flush=True)
        print(f"{len(chosen) - lives} of {len(chosen)} mutants are killed")
        return int(lives > 0)


if __name__ == "__main__":
    sys.exit(main())
