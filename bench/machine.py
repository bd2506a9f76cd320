"""What a reader must know of the machine to judge the figures."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe_machine"]

_PACKAGES = ("hardy", "faster-fifo", "pyzmq", "numpy", "loky", "pebble", "mpire", "joblib")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        # x86 says "model name", some others "Processor" or "cpu".
        if key.strip() in ("model name", "Processor", "cpu"):
            return value.strip()
    return platform.machine()


def describe_machine() -> dict[str, str]:
    """Names and values, in the order of the table; to be asked before anything is measured."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {len(os.sched_getaffinity(0))} cores for this process",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "load average at the start (1, 5, 15 minutes)": load,
    }
