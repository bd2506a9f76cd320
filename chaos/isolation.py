"""What makes a run's findings its own: private /dev/shm, orphans that come to us."""

from __future__ import annotations

import ctypes
import os

_CLONE_NEWNS = 0x20000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Let descendants that lose their parent become this process's children."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def own_shm() -> bool:
    """A /dev/shm of our own, so that names left there are ours; False without the privilege for it."""
    if _libc.unshare(_CLONE_NEWNS):
        return False
    if _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    return bool(_libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, None) == 0 and not os.listdir("/dev/shm"))
