"""Break the core in one place after another, and show that a test notices each time.

A copy of the tree is built once, with failpoints. For each mutant its text is changed there, what depends on it is
built, and the tests that it names are run; at least one must fail. The same tests must pass on the unbroken copy.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from mutant import Mutant
from mutants_list import MUTANTS
from tree_copy import ROOT, TreeCopy

LIMIT_S = 240
# timeout(1) passes on the signal that it ended the tests with, by dying of it itself.
FAILED, HUNG = 1, (124, 134, 137, -6, -9)


def broken(mutant: Mutant, text: str) -> str:
    """The text with the mutant in it.

    Raises:
        SystemExit: what it changes is not there exactly once.
    """
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"mutant {mutant.name!r}: its text occurs {text.count(mutant.old)} times in {mutant.file}, not once"
        )
    return text.replace(mutant.old, mutant.new)


class Breakable(TreeCopy):
    """A tree that is broken and mended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._whole = folder / "whole"
        shutil.copytree(self.core, self._whole)

    def apply(self, mutant: Mutant) -> None:
        path = self.core / mutant.file
        path.write_text(broken(mutant, path.read_text()))
        self.build(mutant.extensions)

    def mend(self, mutant: Mutant) -> None:
        """The file, and what was built from it, as before; the file with a new time, so that a build sees it."""
        shutil.copyfile(self._whole / mutant.file, self.core / mutant.file)
        for extension in mutant.extensions:
            for built in self._whole.glob(f"{extension}.*.so"):
                shutil.copy2(built, self.core / built.name)

    def failing(self, tests: tuple[str, ...]) -> list[str]:
        """Run the tests until one fails; which did."""
        done = self.pytest(("-x", "--timeout=60", *tests), LIMIT_S, HARDY_AIMED="all")
        if done.returncode == 0:
            return []
        if done.returncode != FAILED and done.returncode not in HUNG:
            raise SystemExit(f"pytest could not run {tests}:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
        named = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return named or [f"a hang: {' '.join(tests)}"]


def main() -> int:
    """Go through the list and print the table; 1 when a mutant lives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose name has this text")
    parser.add_argument("--part", default="1/1", help="2/4: the second quarter of them, as they come in turn")
    parser.add_argument("--list", action="store_true", help="name them, and check that each applies")
    options = parser.parse_args()
    part, _, parts = options.part.partition("/")
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name][int(part) - 1 :: int(parts)]
    if options.list:
        for mutant in chosen:
            broken(mutant, (ROOT / "src/hardy/_core" / mutant.file).read_text())
            print(mutant.name)
        return 0
    with tempfile.TemporaryDirectory(prefix="hardy-mutants-") as folder:
        tree = Breakable(Path(folder))
        for tests in sorted({mutant.tests for mutant in chosen}):
            if failing := tree.failing(tests):
                raise SystemExit(f"without any mutant, these fail: {failing}")
        lives = 0
        for number, mutant in enumerate(chosen, 1):
            began = time.monotonic()
            tree.apply(mutant)
            failing = tree.failing(mutant.tests)
            tree.mend(mutant)
            lives += not failing
            verdict = f"killed by {failing[0].split('::', 1)[-1]}" if failing else "LIVES"
            print(f"{number:3} {time.monotonic() - began:5.0f} s  {mutant.name:75} {verdict}", flush=True)
    print(f"{len(chosen) - lives} of {len(chosen)} mutants are killed")
    return int(lives > 0)


if __name__ == "__main__":
    sys.exit(main())
