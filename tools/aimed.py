"""Kill a process at every instruction of every scene, on the hardy of this Python, and print a table.

make aimed                                   both builds, all scenes
.venv/bin/python tools/aimed.py PutLarge     one scene, on the build that users install
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

# In this folder `aimed` is this file.
sys.path.remove(str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from aimed import stepper
from aimed.scene import Broken, aim
from aimed.scenes import ALL

from hardy._core import runtime


def main() -> int:
    """Run the scenes; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", nargs="*", help=f"which ones (all): {', '.join(ALL)}")
    options = parser.parse_args()
    if unknown := set(options.scene) - set(ALL):
        parser.error(f"no such scene: {', '.join(sorted(unknown))}")
    if reason := stepper.why_not():
        print(f"aimed kills: skipped, {reason}")
        return 0
    warnings.simplefilter("ignore")
    print(f"hardy: {runtime.__file__} ({'with failpoints' if runtime.has_failpoints() else 'release'})")
    print(f"{'scene':32} {'instructions':>12} {'elsewhere':>9} {'seconds':>8}  happens at")
    kills, broken = 0, 0
    for name in options.scene or ALL:
        try:
            result = aim(ALL[name])
        except Broken as error:
            broken += 1
            print(f"{name:32} BROKEN: {error}", flush=True)
            continue
        kills += result.places - result.missed
        commits = ", ".join(result.commits) or "-"
        print(f"{name:32} {result.places:12} {result.missed:9} {result.seconds:8.1f}  {commits}", flush=True)
    print(f"{kills} processes were killed, each after another instruction; {broken} scenes broke a promise")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
