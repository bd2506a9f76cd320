"""Terminal sessions of the lessons: what a reader would type, run by the shell, with what comes of it.

    python -m hardy.apps.learn.console FILE

A file `NAME.console` has, line by line:

    $ COMMAND     shown, and run; one that ends with & goes on beside the next, and is ended with the session
    ~ PATTERN     the command before is repeated until it prints this (a regular expression; a line's end
                  counts as a space), and only then shown

`{port}` stands for a free one. The session has a copy of the lesson's files as its folder.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main", "missing", "shell_text"]

_AGAIN_S = 0.1
# What an & leaves, and the shell's own words about its end.
_END = "{ kill $beside; wait; } >/dev/null 2>&1"
# Commands that a small system lacks, and the package that has them.
_PACKAGES = {"ps": "procps"}


def missing(session: str) -> str:
    """The system package that the session needs, and that is not here; or ""."""
    used = re.findall(r"^\$ ([\w-]+)", session, re.MULTILINE)
    return next((_PACKAGES[each] for each in used if each in _PACKAGES and not shutil.which(each)), "")


def shell_text(session: str, port: int) -> str:
    """The session as a program of the shell."""
    lines: list[str] = []
    commands = session.replace("{port}", str(port)).splitlines()
    for line, after in zip(commands, [*commands[1:], ""], strict=True):
        if not line.startswith("$ "):
            continue
        lines.append(f"printf '%s\\n' {shlex.quote(line)}")
        if after.startswith("~ "):
            found = f"printf '%s' \"$said\" | tr '\\n' ' ' | grep -qE {shlex.quote(after[2:])}"
            lines.append(f"until said=$({line[2:]} 2>&1); {found}; do sleep {_AGAIN_S}; done; printf '%s\\n' \"$said\"")
        elif line.endswith("&"):
            lines.append(f'{line[2:]}\nbeside="$beside $!"')
        else:
            lines.append(line[2:])
    return "\n".join([*lines, "status=$?", _END, "exit $status"])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def main(file: Path) -> int:
    """Run the session; returns the exit status of its last command."""
    lesson = file.parent
    with tempfile.TemporaryDirectory(prefix="hardy-learn-") as folder:
        for script in lesson.glob("*.py"):
            shutil.copy(script, folder)
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
        text = shell_text(file.read_text(encoding="utf-8"), _free_port())
        return subprocess.run(["sh", "-c", text], cwd=folder, env={**os.environ, "PATH": path}).returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
