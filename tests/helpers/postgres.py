"""A PostgreSQL server of the test's own, in a temporary directory, on a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from .waiting import wait_until

__all__ = ["Postgres", "postgres_server"]

_NOBODY = "nobody"
_READY_S = 30.0


class Postgres:
    """A running server."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._numbers = count(1)

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self._folder}&user=tester"

    def new_database(self) -> str:
        """The address of an empty database."""
        import psycopg

        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)


def _program(name: str) -> str | None:
    """Debian keeps the server's programs off the PATH."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))


@contextmanager
def postgres_server() -> Iterator[Postgres | None]:
    """The server, started for the block; None where PostgreSQL is not installed."""
    initdb, server = _program("initdb"), _program("postgres")
    if not initdb or not server:
        yield None
        return
    # PostgreSQL refuses to run as root.
    as_user = {"user": _NOBODY, "group": pwd.getpwnam(_NOBODY).pw_gid} if os.getuid() == 0 else {}
    folder = tempfile.mkdtemp(prefix="hardy-postgres-", dir="/tmp")
    try:
        if as_user:
            shutil.chown(folder, _NOBODY)
        data, log = f"{folder}/data", Path(folder, "log")
        command = [initdb, "-D", data, "-U", "tester", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        made = subprocess.run(command, **as_user, cwd=folder, capture_output=True, timeout=60)  # type: ignore[call-overload]
        assert made.returncode == 0, made.stderr.decode()
        command = [server, "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "shared_memory_type=mmap"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, **as_user, cwd=folder, stdout=output, stderr=output)  # type: ignore[call-overload]
        try:
            assert wait_until(lambda: "ready to accept connections" in log.read_text(), _READY_S), log.read_text()
            yield Postgres(folder)
        finally:
            # At once: nobody wants its data.
            process.send_signal(signal.SIGQUIT)
            process.wait(30)
    finally:
        shutil.rmtree(folder)
