"""`hardy.trace` and `hardy.span`: record what a program does, and draw it."""

from __future__ import annotations

from importlib import import_module
from multiprocessing import current_process
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hardy._core import tracer
from hardy._proc import told

if TYPE_CHECKING:
    from hardy._core.memory import Segment

__all__ = ["MEMORY_MIB", "check_path", "span", "trace"]

MEMORY_MIB = 64
_FORMATS = ("html", "json", "svg", "png")


def check_path(path: str | PathLike[str]) -> str:
    """The path, if its end says what to write.

    Raises:
        ValueError: it ends neither in .html nor in .json, .svg or .png.
    """
    text = fspath(path)
    if text.rpartition(".")[2] not in _FORMATS:
        raise ValueError(f"{text!r}: a trace is written as .html, .json (Perfetto, Chrome), .svg or .png")
    return text


class trace:  # noqa: N801 - used as a function
    """Record what this process and those that it starts do in the block, and draw it at its end.

    Recorded are: starts, ends and kills, waits, queues' puts and gets (which message came from where), locks held, a
    pool's tasks, and `hardy.span`s.

    Args:
        *paths: where the picture goes; the name's end says which: .html, a page that needs nothing else; .json, for
            Perfetto and Chrome; .svg; .png (needs `pip install 'hardy[png]'`).
        memory_mib: how much memory there is for events, of 32 bytes each. What has no room is counted and shown.
        otel: at the end, hand spans and metrics to this process's OpenTelemetry providers (needs
            `pip install 'hardy[otel]'`); then no path is needed.

    If a process dies here: what it had recorded is in the picture, whatever it died of. If this process does, there is
    no picture; `hardy trace -- script.py` draws from outside.

    Raises:
        ValueError: a path has another end, or there is neither a path nor `otel`.
        ModuleNotFoundError: `otel` is true, and OpenTelemetry is not installed.
        RuntimeError: this process is being traced already, or `hardy.otel` is on and tells the same.
    """

    def __init__(self, *paths: str | PathLike[str], memory_mib: int = MEMORY_MIB, otel: bool = False) -> None:
        if not paths and not otel:
            raise ValueError("trace() needs a path to write to, for example trace('out.html'), or otel=True")
        if otel and told.observer is not None:
            raise RuntimeError("hardy.otel() tells OpenTelemetry already: all would be told twice. Leave out otel=True")
        if otel:
            # What is missing is said here, rather than when the block is over.
            import_module("hardy.observe.timeline.otel")
        if memory_mib < 1:
            raise ValueError(f"memory_mib must be at least 1, not {memory_mib}")
        self._paths = [check_path(path) for path in paths]
        self._memory_bytes = memory_mib << 20
        self._otel = otel
        self._segment: Segment | None = None

    def __enter__(self) -> trace:
        if tracer.active():
            raise RuntimeError("this process is being traced already; one trace at a time")
        self._segment = tracer.create(self._memory_bytes)
        tracer.adopt(self._segment)
        tracer.started(current_process().name, 0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from hardy.observe.timeline.read import read
        from hardy.observe.timeline.write import write

        segment, self._segment = self._segment, None
        if segment is None or tracer.segment() is not segment:
            return  # in a child that was forked inside of the block
        tracer.ended()
        tracer.end(segment)
        tracer.stop()
        timeline = read(segment)
        for path in self._paths:
            write(timeline, path)
        if self._otel:
            from hardy.observe.timeline.otel import hand_over

            hand_over(timeline)


class span:  # noqa: N801 - used as a function
    """A named part of this process's work, in the traces that are being recorded, and where `hardy.otel` tells of it.

    Nothing otherwise.

    Args:
        name: what the picture calls it.
    """

    __slots__ = ("_live", "_name")

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a span's name is a str, not {type(name).__name__}")
        self._name = name
        self._live: Any = None

    def __enter__(self) -> span:
        tracer.mark(tracer.BEGIN, self._name)
        self._live = told.observer.span(self._name) if told.observer is not None else None
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, traceback)
        tracer.mark(tracer.FINISH, self._name, int(kind is not None))
