"""Every scene by its name."""

from __future__ import annotations

from aimed import meet_scenes, queue_scenes, sync_scenes
from aimed.scene import Scene

_MODULES = (queue_scenes, sync_scenes, meet_scenes)

# What `make test` goes through, and what `make aimed` and `make mutants` do besides.
FIRST_TO_RUN: dict[str, type[Scene]] = {kind.__name__: kind for module in _MODULES for kind in module.FIRST_TO_RUN}
ALL: dict[str, type[Scene]] = FIRST_TO_RUN | {kind.__name__: kind for module in _MODULES for kind in module.FURTHER}
