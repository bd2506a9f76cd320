"""Connections cut, workers and clients killed, at random bytes and as fast as can be; and a file of many zeros.

`make transfer-cuts` is the long run: 1,000 interruptions of uploads and as many of downloads, and 4 GiB up and down.
"""

from __future__ import annotations

import filecmp
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from helpers.procfs import descendants
from helpers.servers import Server, serving, until_it_answers

from hardy.apps.transfer import Remote, get, put

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
CUTS = int(os.environ.get("HARDY_TRANSFER_CUTS", "60"))
SEED = int(os.environ.get("HARDY_TRANSFER_SEED", "11"))
SPARSE_BYTES = int(os.environ.get("HARDY_TRANSFER_SPARSE_MIB", "40")) << 20
# One interruption in so many is the kill of a worker, the others are cuts of the connection.
CUTS_PER_KILL = 12
MOST = 20_000
# The most that our client sends at a time.
PUT_PIECE = 8 << 20
# "a.bin", in base64.
NAME = "filename YS5iaW4="

# Dies by its own hand when it has come so far, in one of its threads, the others in the midst of their ranges.
DIES = """
import os, signal, sys
from hardy.apps.transfer import Effort, Remote, get, put

what, url, path, into, more = sys.argv[1:]
begin = []

def progress(done, total):
    begin.append(done)
    if done >= begin[0] + int(more):
        os.write(1, b"%d %d\\n" % (begin[0], done))
        os.kill(os.getpid(), signal.SIGKILL)

with Remote(url) as remote:
    # Paced, so that it tells of each 16 KiB.
    effort = Effort(limit_rate=1 << 40, progress=progress)
    put(remote, path, effort=effort) if what == "put" else get(remote, path, into, effort=effort)
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


class Interruptions:
    """How connections end: by an end of file, by a reset, or with the worker that had them."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._begin_s = time.monotonic()
        self.chance = random.Random(SEED)
        self.kills = 0

    def connect(self) -> socket.socket:
        found = urlsplit(self._server.url)
        connection = socket.create_connection((found.hostname, found.port), timeout=20)
        if self.chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return connection

    def interrupt(self, connection: socket.socket) -> None:
        if self.chance.randrange(CUTS_PER_KILL) == 0 and (workers := descendants(self._server.process.pid)):
            os.kill(self.chance.choice(workers), signal.SIGKILL)
            self.kills += 1
        connection.close()

    def say(self, what: str) -> None:
        seconds = time.monotonic() - self._begin_s
        print(f"\n{what}: {CUTS} interruptions, {self.kills} of them killed a worker; seed {SEED}, {seconds:.0f} s")


@pytest.mark.timeout(600)
def test_upload_is_whole_when_its_connections_are_cut_at_random_bytes(tmp_path: Path, served: Path) -> None:
    """The offset never goes back, is never more than was sent, and the file is what was sent."""
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as server, httpx.Client(timeout=30) as client:
        cutter = Interruptions(server)
        body = cutter.chance.randbytes(CUTS * MOST // 2)
        made = client.post(
            f"{server.url}uploads/", headers={**TUS, "Upload-Length": str(len(body)), "Upload-Metadata": NAME}
        )
        url, offset = made.headers["Location"], 0
        for _ in range(CUTS):
            # The last byte stays for the end.
            piece = body[offset : min(offset + cutter.chance.randrange(MOST), len(body) - 1)]
            with cutter.connect() as connection:
                head = (
                    f"PATCH {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
                    f"Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n"
                    f"Content-Length: {len(body) - offset}\r\n\r\n"
                )
                connection.sendall(head.encode() + piece)
                cutter.interrupt(connection)
            now = int(until_it_answers(lambda: client.head(url, headers=TUS)).headers["Upload-Offset"])
            assert offset <= now <= offset + len(piece)
            offset = now
        last = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        assert client.patch(url, content=body[offset:], headers=last).status_code == 204
        cutter.say("upload")

    assert (served / "a.bin").read_bytes() == body


@pytest.mark.timeout(600)
def test_download_is_whole_when_its_connections_are_cut_at_random_bytes(tmp_path: Path, served: Path) -> None:
    """Each range begins where the last one broke off, of the same version, and all together are the file."""
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as server:
        cutter = Interruptions(server)
        body = cutter.chance.randbytes(CUTS * MOST // 2 + 4 * MOST)
        (served / "a.bin").write_bytes(body)
        tag = httpx.head(f"{server.url}files/a.bin").headers["ETag"]
        got = bytearray()
        for _ in range(CUTS):
            with cutter.connect() as connection:
                connection.sendall(
                    f"GET /files/a.bin HTTP/1.1\r\nHost: localhost\r\nRange: bytes={len(got)}-\r\n"
                    f"If-Range: {tag}\r\n\r\n".encode()
                )
                got += read_some(connection, len(got), cutter.chance.randrange(MOST))
                cutter.interrupt(connection)
            assert body.startswith(got)
        rest = until_it_answers(lambda: httpx.get(f"{server.url}files/a.bin", headers={"Range": f"bytes={len(got)}-"}))
        cutter.say("download")

    assert got + rest.content == body


def read_some(connection: socket.socket, offset: int, count: int) -> bytes:
    """At most so many bytes of an answer's body; fewer where the worker died, of which the kernel may have lost any."""
    with connection.makefile("rb") as answer:
        try:
            if not (status := answer.readline()):
                return b""
            assert b" 206 " in status
            fields = dict(line.rstrip().lower().split(b": ", 1) for line in iter(answer.readline, b"\r\n") if line)
            assert fields[b"content-range"].startswith(b"bytes %d-" % offset)
            return answer.read(count)
        except ConnectionResetError:
            return b""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["put", "get"])
def test_our_client_goes_on_when_it_is_killed_at_random_bytes(tmp_path: Path, served: Path, what: str) -> None:
    """No run begins below what the one before had told as there, but for the piece of an upload that was under way."""
    chance = random.Random(SEED)
    kills = max(2, CUTS // 20)
    source = (tmp_path if what == "put" else served) / "a.bin"
    source.write_bytes(chance.randbytes(32 << 20))
    target = served / "a.bin" if what == "put" else tmp_path / "here/a.bin"
    resent = 0
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "1", "--no-fsync")
    with serving(*command, ready=READY, folder=tmp_path) as server:
        begin_s, told = time.monotonic(), 0
        for _ in range(kills):
            more = chance.randrange(1, 2 * source.stat().st_size // kills)
            path = str(source) if what == "put" else "a.bin"
            arguments = [what, server.url, path, str(tmp_path / "here"), str(more)]
            done = subprocess.run([sys.executable, "-c", DIES, *arguments], capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            # More than one thread may have come so far.
            begin, told_now = max(tuple(map(int, line.split())) for line in done.stdout.splitlines())
            # A piece of an upload counts when the server has compared it: one that was under way is sent again.
            assert begin >= (told if what == "get" else told - PUT_PIECE)
            resent, told = resent + max(0, told - begin), told_now
        with Remote(server.url) as remote:
            _ = put(remote, source) if what == "put" else get(remote, "a.bin", tmp_path / "here")
        seconds = time.monotonic() - begin_s
        print(f"\n{what}: {kills} kills of the client; seed {SEED}, {resent} bytes sent again, {seconds:.0f} s")

    assert target.read_bytes() == source.read_bytes()


@pytest.mark.timeout(600)
def test_sparse_file_goes_there_and_back(tmp_path: Path, served: Path) -> None:
    """Data at both ends and nothing between, whatever its size; it takes no more memory than a small one."""
    source = tmp_path / "a.bin"
    with source.open("wb") as file:
        file.write(b"begin")
        file.truncate(SPARSE_BYTES - 3)
        file.seek(0, os.SEEK_END)
        file.write(b"end")
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as server, Remote(server.url) as remote:
        seconds = [time.monotonic()]
        put(remote, source)
        seconds.append(time.monotonic())
        assert filecmp.cmp(source, served / "a.bin", shallow=False)
        seconds.append(time.monotonic())
        (got,) = get(remote, "a.bin", tmp_path / "here")
        seconds.append(time.monotonic())
        peaks = [peak_bytes(pid) for pid in descendants(server.process.pid)]
    up, down, peak = seconds[1] - seconds[0], seconds[3] - seconds[2], max(peaks) >> 20
    print(f"\nsparse: {SPARSE_BYTES >> 20} MiB up in {up:.0f} s, down in {down:.0f} s; a worker had {peak} MiB at most")

    assert filecmp.cmp(source, got, shallow=False)
    assert peak < 400
    # These may be 4 GiB each, and pytest keeps what is left.
    for path in (source, got, served / "a.bin"):
        path.unlink()


def peak_bytes(pid: int) -> int:
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
