"""Tests of CPython's suite that hardy does not pass on purpose, each with its reason; read by tools/conformance.py."""

from __future__ import annotations

_ONE_TASK = "It demands that the death of one worker break the executor; here it costs the task that the worker ran."

_ONE_THREAD = "It has the start of a second thread fail, that of a queue; hardy's executor has one thread only."
_METHODS = ("Fork", "Spawn", "Forkserver")

DIFFERENCES = {
    **{
        f"ProcessPool{method}ProcessPoolExecutorTest.test_python_finalization_error": _ONE_THREAD for method in _METHODS
    },
    **{f"ProcessPool{method}ProcessPoolExecutorTest.test_killed_child": _ONE_TASK for method in _METHODS},
    "TestResourceTracker.test_resource_tracker_sigkill": (
        "It kills the tracker of semaphores and expects a warning of the next one; hardy's need none."
    ),
    "TestStartMethod.test_mixed_startmethod": (
        "It expects that a queue of one start method is refused to a process of another; hardy's may go to any process."
    ),
    "WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc": (
        "What cannot be pickled raises at the put that was given it; there is no thread that could report it later."
    ),
    "WithProcessesTestProcess.test_parent_process": (
        "The test's grandchild is to outlive its killed parent; with hardy it ends with it, unless outlive_parent=True."
    ),
}
