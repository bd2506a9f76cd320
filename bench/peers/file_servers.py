"""Servers of a folder, each started as its own documents say: hardy transfer, nginx, @tus/server."""

from __future__ import annotations

import atexit
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.processes import BenchError
from tests.helpers.waiting import wait_until

__all__ = ["NO_SENDFILE", "install_tus", "new_folder", "start_hardy", "start_nginx", "start_tus"]

_TUS_PACKAGES = ("@tus/server@2.4.5", "@tus/file-store@2.1.1")
_INSTALL_S = 90
_END_S = 10
# No log of requests, as hardy has none; connections stay open, as its do. The rest is nginx's own default, and
# what its guide to static files advises.
_NGINX = """
{user}daemon off;
worker_processes {workers};
pid {own}/nginx.pid;
error_log {own}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    {sending}
    keepalive_requests 1000000000;
    client_body_temp_path {own}/body;
    proxy_temp_path {own}/proxy;
    fastcgi_temp_path {own}/fastcgi;
    uwsgi_temp_path {own}/uwsgi;
    scgi_temp_path {own}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location /files/ {{ alias {folder}/; }}
    }}
}}
"""

_SENDFILE = "sendfile on; tcp_nopush on;"
# Over loopback, large files were measured to come faster so.
NO_SENDFILE = "sendfile off; output_buffers 2 1m;"

# Servers and their folders: ended and removed with the bench, the last first.
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    _until_the_end.callback(_end, process)
    return process


def _port_that_it_prints(process: subprocess.Popen[str], who: str) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"(\d+)/?$", line.strip())
    if found is None:
        raise BenchError(f"{who} ended before it listened, and said {line!r}")
    return int(found[1])


def new_folder() -> Path:
    """An empty folder until the bench ends."""
    return Path(_until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="hardy-bench-")))


def start_hardy(folder: Path, workers: int, *options: str) -> int:
    """The port of `hardy transfer serve`."""
    command = [sys.executable, "-m", "hardy", "transfer", "serve", str(folder), "--port", "0"]
    return _port_that_it_prints(_start([*command, "--workers", str(workers), *options]), "hardy transfer serve")


def start_nginx(folder: Path, workers: int, sending: str = _SENDFILE) -> int:
    """The port of an nginx with a configuration of its own."""
    own = new_folder()
    # nginx takes no port 0: one that was free a moment ago.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    # Started by root, its workers would be somebody else, who may not read the folder.
    user = f"user {pwd.getpwuid(0).pw_name};\n" if os.geteuid() == 0 else ""
    config = own / "nginx.conf"
    config.write_text(_NGINX.format(user=user, workers=workers, own=own, port=port, folder=folder, sending=sending))
    log = own / "error.log"
    process = _start(["nginx", "-e", str(log), "-p", str(own), "-c", str(config)])

    def has_ended_or_listens() -> bool:
        if process.poll() is not None:
            return True
        with socket.socket() as asker:
            return asker.connect_ex(("127.0.0.1", port)) == 0

    if not wait_until(has_ended_or_listens) or process.poll() is not None:
        raise BenchError(f"nginx did not come to listen: {log.read_text() if log.exists() else ''}")
    return port


def install_tus() -> Path | None:
    """A folder with @tus/server, or None where npm cannot get it."""
    own = new_folder()
    command = [
        "npm",
        "install",
        "--prefix",
        str(own),
        "--prefer-offline",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
    ]
    command += ["--fetch-retries=0", *_TUS_PACKAGES]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)
    except (subprocess.SubprocessError, OSError):
        return None
    shutil.copy(Path(__file__).with_name("tus_server.mjs"), own)
    return own


def start_tus(installed: Path, folder: Path) -> int:
    """The port of @tus/server, one process, with its own store of files."""
    return _port_that_it_prints(_start(["node", str(installed / "tus_server.mjs"), str(folder)]), "@tus/server")
