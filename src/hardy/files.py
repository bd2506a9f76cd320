"""Small files that several processes change: whole or not at all, one at a time."""

from __future__ import annotations

from hardy._files.atomic import AtomicFile, locked_json

__all__ = ["AtomicFile", "locked_json"]
