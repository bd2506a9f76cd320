"""Whole programs that know nothing of hardy: a Django command, a Flask command, pytest and torch's DataLoader."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.procs import run_script

METHODS = ("fork", "spawn", "forkserver")
LIMIT_S = 50

WORK = """
import multiprocessing

def owner(lock):
    return type(lock).__module__.partition(".")[0]

def square(n):
    return n * n

def work(queue, lock):
    with lock:
        queue.put([owner(lock), owner(multiprocessing.Lock())])

def report(method):
    ctx = multiprocessing.get_context(method)
    queue, lock = ctx.Queue(), ctx.Lock()
    process = ctx.Process(target=work, args=(queue, lock))
    process.start()
    seen = queue.get(timeout=30)
    process.join()
    with ctx.Pool(2) as pool:
        return seen, pool.map(square, range(4))
"""
SAID = "(['hardy', 'hardy'], [0, 1, 4, 9])"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def hardy_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hardy", "run", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S)


DJANGO = {
    "manage.py": """
import os, sys
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    execute_from_command_line(sys.argv)
""",
    "settings.py": 'SECRET_KEY = "of the test"\nINSTALLED_APPS = ["shop"]\nUSE_TZ = True\n',
    "shop/__init__.py": "",
    "shop/work.py": WORK,
    "shop/management/__init__.py": "",
    "shop/management/commands/__init__.py": "",
    "shop/management/commands/count.py": """
from django.core.management.base import BaseCommand
from shop.work import report

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--method")

    def handle(self, **options):
        self.stdout.write(str(report(options["method"])))
""",
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize("method", METHODS)
def test_command_of_django_runs_unchanged(tmp_path: Path, method: str) -> None:
    """`hardy run manage.py count`."""
    write(tmp_path, DJANGO)

    done = hardy_run(tmp_path, "manage.py", "count", "--method", method)

    assert (done.stdout, done.stderr, done.returncode) == (SAID + "\n", "", 0)


FLASK = {
    "work.py": WORK,
    "shop.py": """
import click
from flask import Flask
from work import report

app = Flask(__name__)

@app.cli.command("count")
@click.argument("method")
def count(method):
    click.echo(report(method))
""",
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize("method", METHODS)
def test_command_of_flask_runs_unchanged(tmp_path: Path, method: str) -> None:
    """`hardy run -m flask --app shop count`."""
    write(tmp_path, FLASK)

    done = hardy_run(tmp_path, "-m", "flask", "--app", "shop", "count", method)

    assert (done.stdout, done.stderr, done.returncode) == (SAID + "\n", "", 0)


SUITE = {
    "work.py": WORK,
    "test_work.py": """
import multiprocessing
import pytest
from concurrent.futures import ProcessPoolExecutor
from work import report, square

@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_report(method):
    assert report(method) == (["hardy", "hardy"], [0, 1, 4, 9])

def test_executor():
    with ProcessPoolExecutor(2) as executor:
        assert list(executor.map(square, range(4))) == [0, 1, 4, 9]

def test_of_a_child(tmp_path):
    process = multiprocessing.Process(target=(tmp_path / "made").touch)
    process.start()
    process.join()
    assert process.exitcode == 0 and (tmp_path / "made").exists()

def test_fails():
    assert multiprocessing.Queue().qsize() == 1
""",
}


@pytest.mark.timeout(90)
def test_pytest_runs_a_suite_unchanged(tmp_path: Path) -> None:
    """`hardy run -m pytest`: it passes and fails what it passes and fails, with pytest's own exit status."""
    write(tmp_path, SUITE)

    done = hardy_run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")

    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    assert (done.stderr, done.returncode) == ("", 1)


LOKY = """
import multiprocessing
from loky import get_reusable_executor

def square(n):
    return n * n

if __name__ == "__main__":
    executor = get_reusable_executor(max_workers=2)
    print(list(executor.map(square, range(5))), executor.submit(square, 9).result())
    lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
    print([type(each).__module__.partition(".")[0] for each in (lock, queue)])
"""


@pytest.mark.parametrize("head", ["", "import hardy\nhardy.install()\n"])
def test_loky_works_beside_hardy(tmp_path: Path, head: str) -> None:
    """Its own workers and its own queues; and those of the program are hardy's."""
    (tmp_path / "program.py").write_text(head + LOKY)

    if head:
        command = [sys.executable, "program.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)
    else:
        done = hardy_run(tmp_path, "program.py")

    assert (done.stdout, done.stderr, done.returncode) == ("[0, 1, 4, 9, 16] 81\n['hardy', 'hardy']\n", "", 0)


DATA_LOADER = """
import sys
import torch
import hardy
from torch.utils.data import DataLoader, Dataset

class Squares(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return torch.full((1000,), float(i * i))

if __name__ == "__main__":
    ctx = hardy.get_context(sys.argv[1])
    loader = DataLoader(Squares(), batch_size=4, num_workers=2, multiprocessing_context=ctx, persistent_workers=True)
    for _ in range(2):
        print([float(batch.sum()) for batch in loader])
    workers = loader._iterator._workers
    print({type(worker).__module__.partition(".")[0] for worker in workers})
    del loader
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch's CPU build is not installed")
@pytest.mark.parametrize("method", METHODS)
def test_data_loader_of_torch_takes_a_context(method: str) -> None:
    """`DataLoader(multiprocessing_context=hardy.get_context(...))`, its workers kept for two rounds."""
    done = run_script(DATA_LOADER, method, timeout_s=150, env={"PYTHONWARNINGS": "ignore::UserWarning"})

    round_of = "[14000.0, 126000.0]\n"
    assert (done.stdout, done.returncode) == (round_of * 2 + "{'hardy'}\n", 0), done.stderr
