"""Whether the kernel's out-of-memory killer was at work, as the control group counts it."""

from __future__ import annotations

import functools
import os

from hardy._core import lifeline

__all__ = ["count_memory_kills"]

_ROOT = "/sys/fs/cgroup"
_NAME = b"oom_kill"


@functools.cache
def _counter() -> bytes | None:
    """The file with this process's count of out-of-memory kills (cgroup v2, or v1); None without one."""
    try:
        with open("/proc/self/cgroup", "rb") as file:
            lines = os.fsdecode(file.read()).splitlines()
    except OSError:
        return None
    candidates = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        inner = path.strip("/")
        if number == "0":
            candidates += [f"{_ROOT}/{inner}/memory.events", f"{_ROOT}/memory.events"]
        elif "memory" in controllers.split(","):
            # Inside a container the path is the host's, and the group is mounted at the root.
            memory = f"{_ROOT}/memory"
            candidates += [f"{memory}/{inner}/memory.oom_control", f"{memory}/memory.oom_control"]
    return next((path for path in map(os.fsencode, candidates) if lifeline.count_in(path, _NAME) >= 0), None)


def count_memory_kills() -> int | None:
    """How many processes of this control group the out-of-memory killer took; None when nobody counts."""
    file = _counter()
    if file is None:
        return None
    count = lifeline.count_in(file, _NAME)
    return count if count >= 0 else None
