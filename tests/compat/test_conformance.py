"""A sample of CPython's own tests, on hardy; `make conformance` runs them all, for each start method."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What takes a second at most, and covers each kind of object.
SAMPLE = (
    r"WithProcessesTest(Queue|Lock|Semaphore|Condition|Event|Barrier|Value|Array|Connection|Logging)\."
    r"|TestSimpleQueue|TestStartMethod|TestPoolNotLeak|WithProcessesTestPoolWorkerLifetime"
    r"|WithManagerTest(MyManager|Queue)\."
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("test._test_multiprocessing") is None, reason="this Python has no test package"
)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_cpythons_tests_pass_on_hardy(method: str) -> None:
    """But for the differences that are listed with their reasons."""
    command = [sys.executable, "tools/conformance.py", "--side", "hardy", "--method", method, "--match", SAMPLE]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no unexpected difference" in done.stdout


def test_conformance_reports_a_failure_when_there_is_one() -> None:
    """A test of the suite that cannot pass is told, by name, and the exit status is 1."""
    command = [sys.executable, "-c", REFUSES_EVERYTHING, "--side", "hardy", "--method", "fork", "--match", ONE]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "fork: failed: WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc" in done.stdout


ONE = r"Queue\.test_queue_feeder_donot_stop_onexc"
# The driver, with an empty list of intended differences.
REFUSES_EVERYTHING = """
import runpy, sys
sys.argv[0] = "tools/conformance.py"
runpy.run_path = lambda path: {"DIFFERENCES": {}}
import importlib.util
spec = importlib.util.spec_from_file_location("conformance", "tools/conformance.py")
module = importlib.util.module_from_spec(spec)
sys.modules["conformance"] = module
spec.loader.exec_module(module)
sys.exit(module.main())
"""
