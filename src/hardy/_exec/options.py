"""What may be asked for one task: time, memory, repetition, a name."""

from __future__ import annotations

from typing import Any, NamedTuple

from hardy._exec.errors import WorkerDied

__all__ = ["NOTHING_ASKED", "TaskOptions", "changed"]


class TaskOptions(NamedTuple):
    """The options of a task; see `Pool.options`.

    Attributes:
        timeout: seconds that one run may take, from its begin; None: no end.
        retries: how often a run that failed is repeated.
        retry_on: which errors are worth a repetition.
        backoff: seconds before the first repetition; doubled for each further one.
        max_memory: bytes of resident memory that its worker may have while it runs; None: no limit.
        name: what errors call it; None: the function's own name.
    """

    timeout: float | None = None
    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = (WorkerDied,)
    backoff: float = 0.0
    max_memory: int | None = None
    name: str | None = None

    @property
    def is_watched(self) -> bool:
        """Whether the parent must look at its worker while it runs."""
        return self.timeout is not None or self.max_memory is not None


NOTHING_ASKED = TaskOptions()


def changed(options: TaskOptions, changes: dict[str, Any]) -> TaskOptions:
    """The options with some of them changed.

    Raises:
        TypeError: there is no such option, or it is of the wrong type.
        ValueError: it is out of range.
    """
    known = TaskOptions._fields
    for name, value in changes.items():
        if name not in known:
            raise TypeError(f"there is no option {name!r}; a task has {', '.join(known)}")
        changes[name] = _CHECKS[name](name, value)
    return options._replace(**changes)


def _seconds(name: str, value: Any) -> float | None:
    if value is None and name == "timeout":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not value >= 0:
        raise ValueError(f"{name} must not be negative or nan, but is {value}")
    return float(value)


def _count(name: str, value: Any) -> int | None:
    if value is None and name == "max_memory":
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        what = "bytes" if name == "max_memory" else "repetitions"
        raise TypeError(f"{name} must be an int, a number of {what}, not {type(value).__name__}")
    number = int(value.__index__())
    if number < (name == "max_memory"):
        raise ValueError(f"{name} must be {'above 0' if name == 'max_memory' else 'at least 0'}, not {number}")
    return number


def _errors(name: str, value: Any) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, tuple) else (value,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise TypeError(f"{name} must be an exception class or a tuple of them, not {value!r:.80}")
    return kinds


def _name(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a str or None, not {type(value).__name__}")
    return value


_CHECKS = {
    "timeout": _seconds,
    "retries": _count,
    "retry_on": _errors,
    "backoff": _seconds,
    "max_memory": _count,
    "name": _name,
}
