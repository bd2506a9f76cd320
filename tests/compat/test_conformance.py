"""A sample of CPython's own tests, on hardy; `make conformance` runs them all, for each start method."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

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
@pytest.mark.timeout(150)
@pytest.mark.skipif(
    importlib.util.find_spec("test.test_concurrent_futures") is None, reason="this Python has no tests of executors"
)
def test_cpythons_tests_of_executors_pass_under_hardy_run() -> None:
    """Those of the process pool, for one start method; each change of the pool's processes concerns all alike."""
    name = "test.test_concurrent_futures"
    package: Any = importlib.util.find_spec(name)
    parts = ("process_pool", "as_completed", "wait", "shutdown", "init")
    modules = [f"{name}.test_{part}" for part in parts] if package.submodule_search_locations else [name]
    command = [sys.executable, "-m", "hardy", "run", "-m", "unittest", "-k", "*ProcessPoolFork[!s]*", *modules]

    done = subprocess.run(
        command, capture_output=True, text=True, timeout=140, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )

    assert done.returncode == 0, done.stderr
    assert int(re.findall(r"Ran (\d+) tests", done.stderr)[0]) > 20
