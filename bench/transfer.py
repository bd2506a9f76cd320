"""MiB per second of files: down from hardy transfer and nginx, asked by wrk; up by tus, to it and to @tus/server."""

from __future__ import annotations

import base64
import http.client
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from bench.cells import Cell
from bench.peers.file_servers import NO_SENDFILE, install_tus, new_folder, start_hardy, start_nginx, start_tus
from bench.processes import BenchError, Gate, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "Files over HTTP, MiB per second"
_MIB = 1 << 20
_SIZES = {"64 KiB": _MIB // 16, "64 MiB": 64 * _MIB}
_CONNECTIONS = (1, 64)
_SECONDS = 1
# 64 files of 64 MiB at once take longer than the two seconds after which wrk else takes them for lost.
_TIMEOUT_S = 30
_UPLOADERS = (1, 4)
_UPLOAD_BYTES = 128 * _MIB
_PIECE_BYTES = 8 * _MIB
_TUS = {"Tus-Resumable": "1.0.0"}
# What wrk prints itself is rounded, and leaves out the answers that the end cuts off, which count here.
_COUNT = """
done = function(said)
  local wrong = said.errors
  local failed = wrong.connect + wrong.read + wrong.write + wrong.status + wrong.timeout
  io.write(string.format("\\n%d bytes, %d us, %d failed\\n", said.bytes, said.duration, failed))
end
"""

_Start = Callable[[Path], int]


@cache
def _content() -> bytes:
    """What is uploaded; no piece of it is like another."""
    return random.Random(9).randbytes(_UPLOAD_BYTES)


@cache
def _served() -> Path:
    """The folder that is downloaded from: all servers have the same."""
    folder = new_folder()
    for name, size in _SIZES.items():
        (folder / name.replace(" ", "-")).write_bytes(_content()[:size])
    return folder


@cache
def _source(start: _Start) -> int:
    """The port of a server whose files were seen to come whole."""
    port = start(_served())
    for name, size in _SIZES.items():
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        line.request("GET", f"/files/{name.replace(' ', '-')}")
        if line.getresponse().read() != _content()[:size]:
            raise BenchError(f"the file of {name} did not come as it is")
        line.close()
    return port


def _download(start: _Start, size: str, connections: int, count: int) -> float:
    url = f"http://127.0.0.1:{_source(start)}/files/{size.replace(' ', '-')}"
    script = _scripts() / "count.lua"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{_SECONDS}s", f"--timeout={_TIMEOUT_S}s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    found = re.search(r"(\d+) bytes, (\d+) us, (\d+) failed", done.stdout)
    if found is None or not int(found[1]) or int(found[3]):
        raise BenchError(f"wrk and the server did not understand each other:\n{done.stdout}{done.stderr}")
    return int(found[2]) / 1e6 * count * _MIB / int(found[1])


@cache
def _scripts() -> Path:
    folder = new_folder()
    (folder / "count.lua").write_text(_COUNT)
    return folder


def _ask(
    line: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes | memoryview
) -> str:
    """The answer's Location, or its Upload-Offset."""
    line.request(method, path, body, headers | _TUS)
    answer = line.getresponse()
    said = answer.read()
    if answer.status not in (201, 204):
        raise BenchError(f"{method} {path}: {answer.status} {said.decode(errors='replace')}")
    return answer.headers["Location"] or answer.headers["Upload-Offset"]


def _send(port: int, name: str, gate: Gate) -> tuple[int, int]:
    content = memoryview(_content())
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.connect()
    gate.opened()
    gate.ready()
    start_ns = time.monotonic_ns()
    filename = base64.b64encode(name.encode()).decode()
    new = {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {filename}"}
    path = re.sub(r"^https?://[^/]*", "", _ask(line, "POST", "/uploads/", new, b""))
    for offset in range(0, len(content), _PIECE_BYTES):
        piece = content[offset : offset + _PIECE_BYTES]
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        if int(_ask(line, "PATCH", path, headers, piece)) != offset + len(piece):
            raise BenchError(f"{path} did not take the piece at {offset}")
    end_ns = time.monotonic_ns()
    line.close()
    return start_ns, end_ns


@cache
def _target(start: _Start) -> tuple[Path, int]:
    folder = new_folder()
    return folder, start(folder)


def _upload(start: _Start, uploaders: int, count: int) -> float:
    folder, port = _target(start)
    content = _content()
    spans = run_roles([partial(_send, port, f"{number}.bin") for number in range(uploaders)])
    came = [path for path in folder.rglob("*") if path.is_file()]
    whole = [path for path in came if path.stat().st_size == len(content) and path.read_bytes() == content]
    for path in came:
        path.unlink()
    if len(whole) != uploaders:
        raise BenchError(f"of {uploaders} files that were uploaded {len(whole)} are whole")
    seconds = (max(end for _, end in spans) - min(start for start, _ in spans)) / 1e9
    return float(seconds * count * _MIB / (len(content) * uploaders))


def _downloads() -> Iterator[Cell]:
    missing = [name for name in ("wrk", "nginx") if shutil.which(name) is None]
    if missing:
        needs = " ".join(missing)
        print(f"downloads are not measured: that needs {needs} (apt-get install {needs})", file=sys.stderr)
        return
    workers = min(2, len(os.sched_getaffinity(0)))
    servers: dict[str, _Start] = {
        "nginx": partial(start_nginx, workers=workers),
        "nginx, no sendfile": partial(start_nginx, workers=workers, sending=NO_SENDFILE),
        "hardy": partial(start_hardy, workers=workers),
    }
    for size in _SIZES:
        for connections in _CONNECTIONS:
            name = f"download of {size}, {connections} connection{'s' if connections > 1 else ''}"
            contenders = {who: partial(_download, start, size, connections) for who, start in servers.items()}
            # wrk counts by itself, and an upload is one file: one measurement is as good for any number of MiB.
            yield Cell(FAMILY, name, contenders, "nginx", most=1)


def _uploads() -> Iterator[Cell]:
    has_node = shutil.which("node") is not None and shutil.which("npm") is not None
    installed = install_tus() if has_node else None
    if installed is None:
        print("uploads are not measured: that needs node, and npm that can get @tus/server", file=sys.stderr)
        return
    servers: dict[str, _Start] = {
        "@tus/server": partial(start_tus, installed),
        "hardy": lambda folder: start_hardy(folder, 1, "--no-fsync"),
        "hardy, fsync": lambda folder: start_hardy(folder, 1),
    }
    for uploaders in _UPLOADERS:
        name = f"upload, {uploaders} file{'s at once' if uploaders > 1 else ''}"
        contenders = {who: partial(_upload, start, uploaders) for who, start in servers.items()}
        yield Cell(FAMILY, name, contenders, "@tus/server", most=1)


def cells() -> Iterator[Cell]:
    """Downloads where wrk and nginx are installed, uploads where node and npm are."""
    yield from _downloads()
    yield from _uploads()
