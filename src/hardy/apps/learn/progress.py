"""What a learner has read and solved, kept in a small file of the user's state directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hardy.files import locked_json

__all__ = ["SEEN", "SOLVED", "State", "load", "mark"]

State = dict[str, str]
SEEN, SOLVED = "seen", "solved"


def _file() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or ""
    # The specification has relative paths ignored.
    folder = Path(home) if os.path.isabs(home) else Path.home() / ".local/state"
    return folder / "hardy" / "learn.json"


def load() -> State:
    """For each lesson that was begun, "seen" or "solved"; nothing where nothing can be read."""
    try:
        # It is replaced as a whole, so that a reader needs no lock.
        state = json.loads(_file().read_text(encoding="utf-8"))
        return {str(name): str(how) for name, how in state.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def mark(name: str, how: str) -> None:
    """Remember that the lesson was seen or solved; one that is solved stays so.

    Raises:
        OSError: the file cannot be written.
        ValueError: there is something else in it.
    """
    path = _file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked_json(path, default={}) as state:
        if state.get(name) != SOLVED:
            state[name] = how
