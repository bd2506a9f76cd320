"""What is said of a task whose worker was killed, by us or by somebody else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from hardy._exec.errors import PoisonTask, TaskMemoryExceeded, TaskTimeout, WorkerDied
from hardy._proc.memory_kills import count_memory_kills
from hardy.errors import signal_name

if TYPE_CHECKING:
    from hardy._exec.task import Task

__all__ = ["peak_bytes", "resident_bytes", "too_large", "too_late", "worker_died"]

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int:
    """The resident memory of a process, as the kernel counts it; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process has had, as the kernel counts it; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(b"VmHWM:"))
    except (OSError, StopIteration):
        return 0


def _size(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB" if count >= 1 << 20 else f"{count} bytes"


def _times(attempts: int) -> str:
    return "" if attempts == 1 else f", at attempt {attempts}"


def too_late(task: Task, process: Any) -> TaskTimeout:
    """The error of a task that ran for too long."""
    limit = task.options.timeout
    assert limit is not None
    error = TaskTimeout(
        f"task {task.name!r} ran longer than its timeout of {limit:g} s in {process.name!r} (pid {process.pid})"
        f"{_times(task.attempts)}. That worker was killed and replaced; other tasks are not touched. Give it more "
        "time, or less to do"
    )
    error.task, error.timeout, error.pid, error.attempts = task.name, limit, process.pid, task.attempts
    return error


def too_large(task: Task, process: Any, used: int) -> TaskMemoryExceeded:
    """The error of a task whose worker had too much memory."""
    limit = task.options.max_memory
    assert limit is not None
    error = TaskMemoryExceeded(
        f"task {task.name!r} had {_size(used)} of resident memory in {process.name!r} (pid {process.pid})"
        f"{_times(task.attempts)}, above its max_memory of {_size(limit)}. That worker was killed and replaced; other "
        "tasks are not touched. Let it hold less at once, or give it more"
    )
    error.task, error.max_memory, error.memory = task.name, limit, used
    error.pid, error.attempts = process.pid, task.attempts
    return error


def worker_died(task: Task, process: Any, call: str, peak: int, *, poison: bool) -> WorkerDied:
    """The error of a task whose worker died.

    Args:
        task: what it ran.
        process: the worker, which has ended.
        call: the call that it ran, shortened.
        peak: the most memory that it was seen to have, or 0.
        poison: whether the task was repeated as often as allowed, and killed each worker.
    """
    exitcode = process.exitcode
    signal = -exitcode if exitcode is not None and exitcode < 0 else None
    out_of_memory = signal == 9 and _was_memory_kill(process)
    if signal is None:
        how = f"exited with status {exitcode}" if exitcode is not None else "ended, nobody knows how,"
    else:
        how = f"was killed by {signal_name(signal)}{', out of memory,' if out_of_memory else ''}"
    told = _told_peak(process)
    if told:
        peak, held = told, f" It had {_size(told)} of memory at most."
    else:
        held = f" It was seen to have {_size(peak)} of memory." if peak else ""
    who = f"{process.name!r} (pid {process.pid})"
    if poison:
        advice = "It is not run again; look at what it does to its process"
    elif out_of_memory:
        advice = "Let it hold less at once, run fewer workers, or give the control group more memory"
    else:
        advice = "To have such a task repeated, ask for options(retries=...)"
    kind = PoisonTask if poison else WorkerDied
    error = kind(
        f"worker {who} {how} while it ran task {task.name!r}, {call}{_times(task.attempts)}.{held} Another worker has "
        f"its place; other tasks are not touched. {advice}",
        name=process.name,
        pid=process.pid,
        signal=signal,
        exitcode=exitcode,
        out_of_memory=out_of_memory,
    )
    error.task = task.name
    error.attempts = task.attempts
    error.peak_memory = peak or None
    return error


def _told_peak(process: Any) -> int:
    """The most memory that an ended worker had, as the kernel told who reaped it; 0 when that is not known."""
    told: int = process._popen.child.peak_bytes()
    # What is spawned begins as a copy of this process, whose memory the kernel counts for it.
    return told if process._popen.method != "spawn" or told > peak_bytes(os.getpid()) else 0


def _was_memory_kill(process: Any) -> bool:
    before = getattr(process._popen, "memory_kills", None)
    now = count_memory_kills()
    return before is not None and now is not None and now > before
