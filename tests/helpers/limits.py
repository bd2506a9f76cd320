"""What a system may deny: system calls (seccomp), memory and process ids (control groups)."""

from __future__ import annotations

import ctypes
import platform
import struct
from pathlib import Path

_NUMBERS = {
    "memfd_create": {"x86_64": 319, "aarch64": 279},
    "pidfd_open": {"x86_64": 434, "aarch64": 434},
    "futex_waitv": {"x86_64": 449, "aarch64": 449},
}
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_ROOT = Path("/sys/fs/cgroup")


def forbid(name: str, error: int) -> bool:
    """From now on that system call fails with this errno, here and in all children; False without seccomp."""
    number = _NUMBERS[name].get(platform.machine())
    if number is None:
        return False
    lines = [(_LOAD, 0, 0, 0), (_EQUALS, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and libc.prctl(_PR_SET_SECCOMP, 2, program, 0, 0) == 0
    )


def make_group(kind: str, name: str, most: int) -> Path | None:
    """A control group, version 1 or 2, in which a limit holds; None where none can be made.

    Args:
        kind: "memory" (bytes) or "pids".
        name: of the group.
        most: the limit.
    """
    first = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}[kind]
    second = {"memory": "memory.max", "pids": "pids.max"}[kind]
    for root, limit in [(_ROOT / kind, first), (_ROOT, second)]:
        group = root / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(most))
        except OSError:
            group.rmdir()
            continue
        return group
    return None
