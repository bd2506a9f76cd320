"""Worker processes behind `concurrent.futures`, and what their tasks may raise."""

from hardy._exec.errors import (
    CannotRebuild,
    PoisonTask,
    PoolBroken,
    TaskMemoryExceeded,
    TaskResultNotPicklable,
    TaskTimeout,
    WorkerDied,
)
from hardy._exec.executor import ProcessPoolExecutor
from hardy._exec.future import TaskFuture

__all__ = [
    "CannotRebuild",
    "PoisonTask",
    "PoolBroken",
    "ProcessPoolExecutor",
    "TaskFuture",
    "TaskMemoryExceeded",
    "TaskResultNotPicklable",
    "TaskTimeout",
    "WorkerDied",
]
