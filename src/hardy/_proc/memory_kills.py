"""Whether the kernel's out-of-memory killer was at work, as the control group counts it."""

from __future__ import annotations

import functools
import os

__all__ = ["count_memory_kills"]

_ROOT = "/sys/fs/cgroup"
# The counters of a group are a few lines.
_MOST_BYTES = 8192


@functools.cache
def _counter() -> str | None:
    """The file with this process's count of out-of-memory kills (cgroup v2, or v1); None without one."""
    lines = _read("/proc/self/cgroup")
    candidates = []
    for line in os.fsdecode(lines or b"").splitlines():
        number, controllers, path = line.split(":", 2)
        inner = path.strip("/")
        if number == "0":
            candidates += [f"{_ROOT}/{inner}/memory.events", f"{_ROOT}/memory.events"]
        elif "memory" in controllers.split(","):
            # Inside a container the path is the host's, and the group is mounted at the root.
            memory = f"{_ROOT}/memory"
            candidates += [f"{memory}/{inner}/memory.oom_control", f"{memory}/memory.oom_control"]
    return next((file for file in candidates if _count_in(file) is not None), None)


def _read(file: str) -> bytes | None:
    # Read at every start of a process: a file object of Python takes five times as long.
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(fd, _MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(fd)


def _count_in(file: str) -> int | None:
    words = (_read(file) or b"").split()
    return int(words[words.index(b"oom_kill") + 1]) if b"oom_kill" in words else None


def count_memory_kills() -> int | None:
    """How many processes of this control group the out-of-memory killer took; None when nobody counts."""
    file = _counter()
    return None if file is None else _count_in(file)
