"""A sample of CPython's own tests, on hardy; `make conformance` runs them all, for each start method."""

from __future__ import annotations

import importlib.util
import re
import runpy
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


def run_on_hardy(method: str, pattern: str) -> str:
    command = [sys.executable, "tools/conformance.py", "--side", "hardy", "--method", method, "--match", pattern]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no unexpected difference" in done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_cpythons_tests_pass_on_hardy(method: str) -> None:
    """But for the differences that are listed with their reasons."""
    run_on_hardy(method, SAMPLE)


def test_conformance_reports_a_failure_when_there_is_one() -> None:
    """A test of the suite that cannot pass is told, by name, and the exit status is 1."""
    command = [sys.executable, "-c", REFUSES_EVERYTHING, "--side", "hardy", "--method", "fork", "--match", ONE]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "fork: failed: WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc" in done.stdout


def test_conformance_writes_its_counts_in_the_place_of_older_ones(tmp_path: Path) -> None:
    """A row for each Python, start method and side, in that order; what stands around the table stays."""
    tool = runpy.run_path(str(ROOT / "tools/conformance.py"))
    page = tmp_path / "page.md"
    head = "| Python | | |\n| --- | --- | --- |\n"
    page.write_text(f"before\n{tool['BEGIN']}\n{head}| 3.10.1 | fork | hardy | 1 |\n{tool['END']}\nafter\n")

    tool["write_page"](
        page, ["| 3.9.1 | fork | hardy | 3 |", "| 3.10.1 | fork | hardy | 2 |", "| 3.10.1 | fork | stdlib | 4 |"]
    )

    rows = "| 3.9.1 | fork | hardy | 3 |\n| 3.10.1 | fork | stdlib | 4 |\n| 3.10.1 | fork | hardy | 2 |\n"
    assert page.read_text() == f"before\n{tool['BEGIN']}\n{head}{rows}{tool['END']}\nafter\n"


ONE = r"Queue\.test_queue_feeder_donot_stop_onexc"
# The driver, with an empty list of intended differences.
REFUSES_EVERYTHING = """
import runpy, sys
sys.argv[0] = "tools/conformance.py"
runpy.run_path = lambda path: {"DIFFERENCES": {}}
import importlib.util
import os
import re
spec = importlib.util.spec_from_file_location("conformance", "tools/conformance.py")
module = importlib.util.module_from_spec(spec)
sys.modules["conformance"] = module
spec.loader.exec_module(module)
sys.exit(module.main())
"""


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.skipif(
    importlib.util.find_spec("test.test_concurrent_futures") is None, reason="this Python has no tests of executors"
)
def test_cpythons_tests_of_executors_pass_on_hardy() -> None:
    """Those of the process pool itself and of its end, for one start method; the others wait on the same futures."""
    output = run_on_hardy("fork", r"^ProcessPoolFork(?!server)\w*(Executor|Shutdown)Test\.")

    assert int(re.findall(r"(\d+) passed", output)[0]) > 20, output
