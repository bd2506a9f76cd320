"""What a supervisor is told of a child: OTP's child specification."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["INFINITY", "ChildSpec", "Startable", "as_spec"]

INFINITY = math.inf
_DEFAULT_SHUTDOWN_S = 5.0
_RESTARTS = ("permanent", "transient", "temporary")
_TYPES = ("worker", "supervisor")


class Startable:
    """What a spec may start in the place of a function: a supervisor."""

    def _run_nested(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class ChildSpec:
    """How one child is started, restarted and stopped. The names are those of OTP's child specification.

    Attributes:
        id: its name among its siblings, and the name of its process.
        start: the function that runs in its process, or a `Supervisor` that is not started: a nested one.
        args: positional arguments of the function.
        kwargs: named arguments of the function.
        restart: `permanent`: always started again; `transient`: when it ended with an exit code other than 0;
            `temporary`: never, and its spec is forgotten when it ends.
        shutdown: seconds between SIGTERM and SIGKILL when it is stopped; `"brutal_kill"`: SIGKILL at once;
            `"infinity"`: never SIGKILL. None: 5 for a worker, infinity for a supervisor.
        type: `worker` or `supervisor`; None: as `start` says.
        significant: whether its end, when it is not started again, counts for the supervisor's `auto_shutdown`.
    """

    id: str
    start: Callable[..., Any] | Startable
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    shutdown: float | Literal["brutal_kill", "infinity"] | None = None
    type: Literal["worker", "supervisor"] | None = None
    significant: bool = False

    def __post_init__(self) -> None:
        nested = isinstance(self.start, Startable)
        if not isinstance(self.id, str) or not self.id:
            raise TypeError(f"the id of a child must be a string that is not empty, not {self.id!r:.60}")
        where = f"child {self.id!r}"
        if not nested and not callable(self.start):
            raise TypeError(f"start of {where} must be a function or a Supervisor, not {type(self.start).__name__}")
        if isinstance(self.args, (str, bytes)) or not isinstance(self.args, (tuple, list)):
            raise TypeError(f"args of {where} must be a tuple of arguments; one argument is args=({self.args!r:.60},)")
        if not isinstance(self.kwargs, Mapping):
            raise TypeError(f"kwargs of {where} must be a dict of named arguments, not {type(self.kwargs).__name__}")
        if nested and (self.args or self.kwargs):
            raise TypeError(f"{where} is a supervisor, which takes no args or kwargs")
        _check_choice(f"restart of {where}", self.restart, _RESTARTS)
        if self.type is None:
            object.__setattr__(self, "type", "supervisor" if nested else "worker")
        _check_choice(f"type of {where}", self.type, _TYPES)
        _check_shutdown(where, self.shutdown)
        if self.significant and self.restart == "permanent":
            raise ValueError(f"{where} is permanent and cannot be significant: it is always started again")

    @property
    def shutdown_s(self) -> float:
        """Seconds between SIGTERM and SIGKILL; 0: SIGKILL at once; infinity: never."""
        if self.shutdown is None:
            return _DEFAULT_SHUTDOWN_S if self.type == "worker" else INFINITY
        if self.shutdown == "brutal_kill":
            return 0.0
        return INFINITY if self.shutdown == "infinity" else float(self.shutdown)


def as_spec(value: ChildSpec | Mapping[str, Any]) -> ChildSpec:
    """The spec, or the one that a mapping with its fields describes.

    Raises:
        TypeError: it is neither, or a field is missing, unknown or of the wrong type.
    """
    if isinstance(value, ChildSpec):
        return value
    if isinstance(value, Mapping):
        return ChildSpec(**value)
    raise TypeError(f"a child is described by a ChildSpec or a dict with its fields, not by {type(value).__name__}")


def _check_choice(what: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what} must be one of {', '.join(choices)}, not {value!r:.60}")


def _check_shutdown(where: str, value: object) -> None:
    if value is None or value in ("brutal_kill", "infinity"):
        return
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
        raise TypeError(f"shutdown of {where} must be seconds, 'brutal_kill', 'infinity' or None, not {value!r:.60}")
    if not value >= 0:
        raise ValueError(f"shutdown of {where} must be 0 seconds or more, not {value}")
