"""Rules about the source that no linter knows."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/hardy"
TESTS = ROOT / "tests"
LONGEST_FILE = 500
# What the native part may build upon: itself, and what describes C and Python's own API.
CIMPORTABLE = re.compile(r"hardy\._core\b|\.|libc\b|posix\b|cpython\b|cython\b")
# Python modules of hardy that the native part may import.
BELOW_CORE = re.compile(r"(from|import) (hardy\._core|hardy\.errors|hardy import errors)\b")


def sources(*suffixes: str, under: Path = PACKAGE) -> Iterator[Path]:
    return (path for path in sorted(under.rglob("*")) if path.suffix in suffixes)


def test_import_linter_contracts_are_kept() -> None:
    """Imports go downwards only, and every module of the package has its place."""
    lint_imports = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run(
        [lint_imports, "--no-cache"], cwd=ROOT, env={"PYTHONPATH": "src"}, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_native_code_cimports_only_the_core() -> None:
    """A .pyx knows nothing of the layers above: it cimports the core and C, and imports at most `errors`."""
    wrong = []
    for path in sources(".pyx", ".pxd"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            cimported = re.match(r"\s*(?:from (\S+) )?cimport (\S+)", line)
            if cimported and not CIMPORTABLE.match(cimported[1] or cimported[2]):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
            imported = re.match(r"\s*(from (hardy\b|\.\.)|import hardy\b)", line)
            if imported and " cimport " not in line and not BELOW_CORE.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")

    assert not wrong, "\n".join(wrong)


def private_uses(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each use of a private name of multiprocessing."""
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "multiprocessing":
                    aliases.add(alias.asname or "multiprocessing")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "multiprocessing":
            for alias in node.names:
                aliases.add(alias.asname or alias.name)
                if is_private(alias.name):
                    yield node.lineno, f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in aliases:
                yield node.lineno, ast.unparse(node)


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def test_private_names_of_multiprocessing_occur_only_in_stdlib() -> None:
    """What CPython may change without notice is touched in `_stdlib` alone."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(".py")
        if PACKAGE / "_stdlib" not in path.parents
        for line, name in private_uses(ast.parse(path.read_text()))
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "source",
    [
        "import multiprocessing.util\nmultiprocessing.util._exit_function()",
        "from multiprocessing import util as u\nu._registry.clear()",
        "from multiprocessing.process import _children",
    ],
)
def test_private_uses_finds_a_private_name(source: str) -> None:
    """The rule above can fail."""
    assert list(private_uses(ast.parse(source)))


def test_no_test_sleeps() -> None:
    """Tests wait for what they need, not for time to pass."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources(".py", under=TESTS)
        if not {TESTS / "helpers", TESTS / "examples"} & set(path.parents)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"sleep\(\s*[\d.]", line)
    ]

    assert not wrong, "use helpers.waiting.wait_until, or an event:\n" + "\n".join(wrong)


def test_every_public_name_has_a_docstring() -> None:
    """What `hardy` exports says what the caller gets."""
    hardy = importlib.import_module("hardy")

    bare = [
        name
        for name in getattr(hardy, "__all__", [])
        if callable(value := getattr(hardy, name))
        and (inspect.getmodule(value) or hardy).__name__.startswith("hardy")
        and not value.__doc__
    ]

    assert not bare


def test_import_of_hardy_is_light() -> None:
    """`import hardy` imports nothing but the package: each name comes when it is asked for."""
    code = "import sys; before = set(sys.modules); import hardy; print(*sorted(set(sys.modules) - before))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["hardy"], "a module-level import in hardy/__init__.py? Put it into _LATE"


STARTED = """
import multiprocessing, sys
def start(library):
    process = library.get_context("fork").Process(target=print)
    process.start()
    process.join()
start(multiprocessing)
before = set(sys.modules)
import hardy
start(hardy)
print(*sorted(set(sys.modules) - before))
"""
# Each module that a start needs is more memory to copy at each fork, and more to import in each child of spawn.
MOST_OWN_MODULES_OF_A_START = 28
OTHER_MODULES_OF_A_START = {"__future__", "cython_runtime", "importlib"}


def test_start_of_a_process_is_light() -> None:
    """A process that starts another has imported little that `multiprocessing` would not: no `typing`, no parsers."""
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, check=True)

    imported = set(done.stdout.split())
    own = {name for name in imported if name.partition(".")[0] == "hardy"}
    others = {name for name in imported - own if not name.startswith(("_cython", "importlib."))}
    assert not others - OTHER_MODULES_OF_A_START, "import what only some programs need inside the function that does"
    assert len(own) <= MOST_OWN_MODULES_OF_A_START, f"{len(own)} modules: {sorted(own)}"


def test_source_files_are_short() -> None:
    """A file has one subject: past 500 lines it is split by noun."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sources(".py", ".pyi", ".pyx", ".pxd", ".h", ".c")
    }

    assert not {name: length for name, length in lengths.items() if length > LONGEST_FILE}
