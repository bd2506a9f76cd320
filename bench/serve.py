"""Requests per second of servers, asked by wrk: a request with a short reply, and the echo of 1 KiB."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench.cells import Cell
from bench.processes import BenchError

__all__ = ["FAMILY", "cells"]

FAMILY = "Servers, requests per second"
_BASELINE = "asyncio"
_CONNECTIONS = 32
_SECONDS = 1
_ECHO = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\n'

# Started when they are first asked, and ended with the bench; one that nobody asks takes no time.
_running: dict[tuple[str, int], tuple[subprocess.Popen[str], int]] = {}


def _end_all() -> None:
    for process, _ in _running.values():
        process.terminate()
        process.wait(10)


atexit.register(_end_all)


def _port_of(kind: str, workers: int) -> int:
    if (kind, workers) not in _running:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.peers.serving", kind, str(workers)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError(f"the server {kind} ended before it listened")
        _running[kind, workers] = process, int(line)
    return _running[kind, workers][1]


def _measure(kind: str, workers: int, script: str, count: int) -> float:
    port = _port_of(kind, workers)
    with tempfile.TemporaryDirectory(prefix="hardy-bench-") as folder:
        lua = Path(folder, "ask.lua")
        lua.write_text(script)
        command = ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "-s", str(lua), f"http://127.0.0.1:{port}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    said = done.stdout + done.stderr
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Socket errors" in said or "Non-2xx" in said or not int(found[1]):
        raise BenchError(f"wrk and the server {kind} did not understand each other:\n{said}")
    return float(found[2]) * count / int(found[1])


def cells() -> Iterator[Cell]:
    """Request and reply, and echo; none where wrk is not installed."""
    if shutil.which("wrk") is None:
        print("the servers are not measured: that needs wrk (apt-get install wrk)", file=sys.stderr)
        return
    most = len(os.sched_getaffinity(0))
    servers = {
        _BASELINE: ("asyncio", 1),
        "asyncio with uvloop": ("uvloop", 1),
        "socketserver.ForkingTCPServer": ("forking", 1),
        f"gunicorn, {most} workers": ("gunicorn", most),
        "hardy, 1 worker, no uvloop": ("hardy-asyncio", 1),
        "hardy, 1 worker": ("hardy", 1),
        "hardy": ("hardy", most),
    }
    for name, script in (("request and reply", ""), ("echo of 1 KiB", _ECHO)):
        contenders = {who: partial(_measure, kind, workers, script) for who, (kind, workers) in servers.items()}
        # wrk counts by itself: one measurement is as good for one operation as for many.
        yield Cell(FAMILY, name, contenders, _BASELINE, most=1)
