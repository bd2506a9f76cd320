"""Whether the kernel's out-of-memory killer was at work, as the control group counts it."""

from __future__ import annotations

import functools
from pathlib import Path

__all__ = ["count_memory_kills"]

_ROOT = Path("/sys/fs/cgroup")


@functools.cache
def _counter() -> Path | None:
    """The file with this process's count of out-of-memory kills (cgroup v2, or v1); None without one."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    candidates = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        inner = path.lstrip("/")
        if number == "0":
            candidates += [_ROOT / inner / "memory.events", _ROOT / "memory.events"]
        elif "memory" in controllers.split(","):
            # Inside a container the path is the host's, and the group is mounted at the root.
            memory = _ROOT / "memory"
            candidates += [memory / inner / "memory.oom_control", memory / "memory.oom_control"]
    return next((file for file in candidates if _read(file) is not None), None)


def _read(file: Path) -> int | None:
    try:
        words = file.read_text().split()
    except OSError:
        return None
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else None


def count_memory_kills() -> int | None:
    """How many processes of this control group the out-of-memory killer took; None when nobody counts."""
    file = _counter()
    return None if file is None else _read(file)
