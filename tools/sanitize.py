"""The core under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.

The first two: a copy of the tree is built with them, and the tests that use the core hardest run on it. The third:
tests/native, threads that use the locks and the queues as processes do. Each is also run on a lock or a queue in which
one store does not order memory, and must report that: a check that cannot fail checks nothing.

Leaks are not looked for: the interpreter frees its own memory at its end only in part, and processes that are killed
free nothing. (tests/helpers/leftovers.py watches mappings and descriptors.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tree_copy import ROOT, TreeCopy

CFLAGS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
TESTS = (
    # Under RLIMIT_AS AddressSanitizer itself finds no memory.
    ("tests/unit", "-k", "(queue or sync or tasks or lifeline or pickling) and not address_limit"),
    ("tests/crash", "-k", "queue or sync or task"),
    ("tests/model",),
)
LIMIT_S = 1500
# Programs of tests/native, each with a store of a header that must order memory, and the same store that does not.
THREADS = (
    (
        "threads",
        "sync_lock.h",
        "uint64_t old = hdy_exchange(&l->owner, 0);",
        "uint64_t old = __atomic_exchange_n(&l->owner, 0, __ATOMIC_RELAXED);",
    ),
    (
        "ring_threads",
        "commit.h",
        "hdy_store(&s->commits, hdy_load_relaxed(&s->commits) + 1);",
        "hdy_store_relaxed(&s->commits, hdy_load_relaxed(&s->commits) + 1);",
    ),
)


def library(compiler: str, name: str) -> str:
    """The path of a sanitizer's library."""
    found = subprocess.run([compiler, f"-print-file-name={name}.so"], capture_output=True, text=True).stdout.strip()
    # Without the library the compiler answers with the bare name.
    return found if os.path.isabs(found) else ""


def need(compiler: str) -> dict[str, str]:
    """The libraries, by name.

    Raises:
        SystemExit: something is missing; the text names it.
    """
    if not shutil.which(compiler):
        raise SystemExit(f"make sanitize needs a C compiler: {compiler} is not there (Debian: apt-get install gcc)")
    found = {name: library(compiler, name) for name in ("libasan", "libubsan", "libtsan")}
    missing = [name for name, path in found.items() if not path]
    if missing:
        raise SystemExit(
            f"make sanitize needs {', '.join(missing)}, which {compiler} does not find. With gcc they come with the "
            "compiler (Debian: libgcc-12-dev; Fedora: dnf install libasan libubsan libtsan)"
        )
    return found


def check_memory(libraries: dict[str, str]) -> bool:
    """Whether the tests pass on a core with AddressSanitizer and UndefinedBehaviorSanitizer."""
    clean = True
    with tempfile.TemporaryDirectory(prefix="hardy-sanitize-") as folder:
        tree = TreeCopy(Path(folder), CFLAGS)
        for tests in TESTS:
            done = tree.pytest(
                # A report that ends the process must not be in a capture that ends with it.
                ("--timeout=300", "--capture=sys", *tests),
                LIMIT_S,
                LD_PRELOAD=f"{libraries['libasan']} {libraries['libubsan']}",
                ASAN_OPTIONS="detect_leaks=0:abort_on_error=1",
                UBSAN_OPTIONS="print_stacktrace=1",
            )
            print(f"address, undefined: {tests[0]}: {done.stdout.strip().splitlines()[-1:]}", flush=True)
            if done.returncode or "ERROR: AddressSanitizer" in done.stderr or "runtime error:" in done.stderr:
                clean = False
                print(done.stdout[-6000:], done.stderr[-6000:], sep="\n")
    return clean


def run_threads(compiler: str, name: str, headers: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Build a program of tests/native on these headers, and run it."""
    program = folder / name
    # Fences are unknown to it; where the core has one, the test's own data is ordered by something else.
    flags = ["-std=gnu11", "-O1", "-g", "-pthread", "-Wall", "-Wno-unused-function", "-Wno-tsan", "-fsanitize=thread"]
    source = ROOT / f"tests/native/{name}.c"
    subprocess.run([compiler, *flags, f"-I{headers}", str(source), "-o", str(program)], check=True)
    return subprocess.run([str(program)], capture_output=True, text=True, timeout=600)


def check_threads(compiler: str) -> bool:
    """Whether the threads are without a race, and those on a broken lock or queue are not."""
    core = ROOT / "src/hardy/_core"
    clean = True
    for name, header, ordered, unordered in THREADS:
        with tempfile.TemporaryDirectory(prefix="hardy-sanitize-") as folder:
            done = run_threads(compiler, name, core, Path(folder))
            print(f"thread: {name}: {'clean' if done.returncode == 0 else 'FAILED'}", flush=True)
            if done.returncode:
                print(done.stdout[-6000:], done.stderr[-6000:], sep="\n")
            headers = Path(folder) / "broken"
            headers.mkdir()
            for each in core.glob("*.h"):
                shutil.copy(each, headers)
            text = (core / header).read_text()
            if text.count(ordered) != 1:
                raise SystemExit(f"{header} has changed: tools/sanitize.py no longer finds {ordered!r}")
            (headers / header).write_text(text.replace(ordered, unordered))
            seen = "data race" in run_threads(compiler, name, headers, Path(folder)).stderr
            print(f"thread: {name}: a store that does not order memory is {'' if seen else 'NOT '}noticed", flush=True)
            clean = clean and done.returncode == 0 and seen
    return clean


def main() -> int:
    """Run all; 1 when anything was found."""
    compiler = os.environ.get("CC", "gcc")
    libraries = need(compiler)
    threads, memory = check_threads(compiler), check_memory(libraries)
    print("sanitize: clean" if threads and memory else "sanitize: FAILED")
    return int(not (threads and memory))


if __name__ == "__main__":
    sys.exit(main())
