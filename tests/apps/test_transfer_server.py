"""`hardy transfer serve`: over real sockets, asked by httpx."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
BODY = os.urandom(3_000_001)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[Server]:
    command = ("hardy", "transfer", "serve", str(folder), "--port", "0", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as opened:
        yield opened


def metadata(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def create(client: httpx.Client, length: int, name: str, **more: str) -> str:
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(filename=name, **more)}
    answer = client.post("/uploads/", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def patch(client: httpx.Client, url: str, offset: int, body: bytes, **headers: str) -> httpx.Response:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(url, content=body, headers={**PIECE, "Upload-Offset": str(offset), **more})


def test_download_gives_ranges_and_only_the_version_asked_for(folder: Path, client: httpx.Client) -> None:
    """Range, If-Range, If-None-Match, If-Match, HEAD and several ranges, as HTTP has them."""
    (folder / "a.bin").write_bytes(BODY)
    whole = client.get("/files/a.bin")
    tag = whole.headers["ETag"]
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()

    assert whole.content == BODY
    head = client.head("/files/a.bin", headers={"Want-Repr-Digest": "sha-256=1"})
    assert (head.headers["Content-Length"], head.headers["Repr-Digest"]) == (str(len(BODY)), f"sha-256=:{digest}:")
    for asked, content in {"5-9": BODY[5:10], "-7": BODY[-7:], "3000000-": BODY[3_000_000:]}.items():
        part = client.get("/files/a.bin", headers={"Range": f"bytes={asked}", "If-Range": tag})
        assert (part.status_code, part.content) == (206, content)
    several = client.get("/files/a.bin", headers={"Range": "bytes=0-1,1000000-2200000"})
    assert several.status_code == 206
    assert BODY[1_000_000:2_200_001] in several.content
    statuses = [
        client.get("/files/a.bin", headers=headers).status_code
        for headers in (
            {"Range": "bytes=0-1", "If-Range": '"other"'},
            {"Range": "bytes=9999999-"},
            {"Range": "lines=1-2"},
            {"If-None-Match": tag},
            {"If-Match": '"other"'},
        )
    ]
    assert statuses == [200, 416, 200, 304, 412]


def test_upload_goes_on_where_it_was(folder: Path, client: httpx.Client) -> None:
    """A file has its name when it is whole, and not before; a wrong offset is refused."""
    url = create(client, len(BODY), "deep/in/a.bin")
    assert patch(client, url, 0, BODY[:1000]).headers["Upload-Offset"] == "1000"
    assert patch(client, url, 5, b"x").status_code == 409
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "1000"
    assert not (folder / "deep").exists()

    assert patch(client, url, 1000, BODY[1000:]).status_code == 204

    assert (folder / "deep/in/a.bin").read_bytes() == BODY
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == str(len(BODY))


def test_upload_survives_the_kill_of_its_server(folder: Path, server: Server, client: httpx.Client) -> None:
    """What a killed worker had acknowledged is there, and the next goes on from it."""
    url = create(client, len(BODY), "a.bin")
    assert patch(client, url, 0, BODY[:1_500_000]).status_code == 204
    dead = descendants(server.process.pid)
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not set(dead) & set(descendants(server.process.pid)), 10)

    with httpx.Client(base_url=server.url, timeout=20) as again:
        offset = int(again.head(url, headers=TUS).headers["Upload-Offset"])
        assert offset == 1_500_000
        assert patch(again, url, offset, BODY[offset:]).status_code == 204

    assert (folder / "a.bin").read_bytes() == BODY


def test_ls_and_rm_say_and_do(folder: Path, server: Server) -> None:
    """The command lists and removes, and says what is not there."""
    (folder / "a.txt").write_text("hello")

    def hardy(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hardy", "transfer", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    listed = json.loads(hardy("ls", server.url, "--json").stdout)
    assert [(entry["name"], entry["size"]) for entry in listed] == [("a.txt", 5)]
    assert hardy("rm", server.url, "a.txt").returncode == 0
    gone = hardy("rm", server.url, "a.txt")
    assert (gone.returncode, "no file 'a.txt'" in gone.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--write-token"),
        (["--workers", "0"], "--workers"),
        (["--port", "99999"], "cannot listen"),
        (["--quota", "much"], "a number of bytes"),
    ],
)
def test_serve_says_why_it_cannot(tmp_path: Path, options: list[str], said: str) -> None:
    """A bad option is one sentence, and an exit status; without a token it listens to this machine only."""
    command = [sys.executable, "-m", "hardy", "transfer", "serve", str(tmp_path), "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
