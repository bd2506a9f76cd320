"""The quota of a folder: one for all workers, and for bytes that come without having been announced."""

from __future__ import annotations

import base64
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.servers import serving

from hardy.apps.transfer.errors import DiskFull
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.quota import Quota
from hardy.apps.transfer.upload import Info
from hardy.apps.transfer.uploads import Uploads

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
MOST = 1000
# For so long the other process may show that it is granted what it must not be.
LOOK_S = 0.3

ASK = """
import sys
from hardy.apps.transfer.errors import DiskFull
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.quota import Quota
from hardy.apps.transfer.upload import Info
from hardy.apps.transfer.uploads import Uploads

uploads = Uploads(Folder(sys.argv[1]))
quota = Quota(uploads, 1000)
print("asks", flush=True)
try:
    if sys.argv[2] == "announced":
        with quota.granting(600):
            uploads.create(Info("", 600, "b"))
    else:
        with uploads.open(uploads.create(Info("", None, "b")).id) as upload:
            quota.reserve(upload, 600)
            upload.write([bytes(600)])
    print("granted", flush=True)
except DiskFull:
    print("refused", flush=True)
"""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


@pytest.mark.parametrize("how", ["announced", "as it comes"])
def test_last_bytes_are_granted_once_when_two_processes_ask(served: Path, how: str) -> None:
    """Who asks while another is between the check and the record of its grant waits, and is refused."""
    other: list[subprocess.Popen[str]] = []

    def ask(step: str) -> None:
        if step == "create.part":
            other.append(
                subprocess.Popen([sys.executable, "-c", ASK, str(served), how], stdout=subprocess.PIPE, text=True)
            )
            assert other[0].stdout is not None
            assert other[0].stdout.readline() == "asks\n"
            select.select([other[0].stdout], [], [], LOOK_S)

    folder = Folder(str(served))
    uploads = Uploads(folder, on_step=ask)
    with Quota(uploads, MOST).granting(600):
        uploads.create(Info("", 600, "a"))

    said, _ = other[0].communicate(timeout=20)
    assert said == "refused\n"
    assert uploads.promised_bytes() == 600
    assert not list((served / ".hardy-transfer").glob(".quota*"))
    uploads.close()
    folder.close()


def test_reservation_is_others_again_when_it_was_not_needed(served: Path) -> None:
    """An upload of unknown length takes ahead only while there is room, and not more than it has in the end."""
    folder = Folder(str(served))
    uploads = Uploads(folder)
    quota = Quota(uploads, 1 << 30)
    with uploads.open(uploads.create(Info("", None, "a")).id) as upload:
        quota.reserve(upload, 10)
        upload.write([bytes(10)])
        ahead = uploads.promised_bytes()
        upload.reserve(0)

    assert 10 < ahead < 1 << 30
    assert uploads.promised_bytes() == 10
    with pytest.raises(DiskFull, match="10 are stored or promised"), Quota(uploads, 20).granting(11):
        pass
    uploads.close()
    folder.close()


@pytest.fixture
def client(tmp_path: Path, served: Path) -> Iterator[httpx.Client]:
    options = ("--port", "0", "--workers", "2", "--quota", str(MOST))
    with (
        serving("hardy", "transfer", "serve", str(served), *options, ready=READY, folder=tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=20) as opened,
    ):
        yield opened


def meta(name: str) -> dict[str, str]:
    return {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}


def test_bytes_that_were_not_announced_are_held_by_the_quota(served: Path, client: httpx.Client) -> None:
    """A PUT in chunks, an upload whose length is told later or never, and parts that are joined: 507, and no file."""

    def later(name: str) -> str:
        made = client.post("/uploads/", headers={**TUS, **meta(name), "Upload-Defer-Length": "1"})
        return made.headers["Location"]

    def piece(url: str, body: bytes, **more: str) -> int:
        return client.patch(url, content=body, headers={**PIECE, **more}).status_code

    assert client.put("/files/big", content=iter([bytes(600), bytes(600)])).status_code == 507
    assert client.put("/files/big", content=bytes(1200)).status_code == 507
    assert client.put("/files/some", content=iter([bytes(200), bytes(200)])).status_code == 201

    never, told = later("never"), later("told")
    assert piece(never, bytes(601)) == 507
    assert piece(never, bytes(100)) == 204
    assert piece(told, b"abc", **{"Upload-Length": "501"}) == 507
    part = {**PIECE, "Upload-Length": "300", "Upload-Concat": "partial"}
    parts = client.post("/uploads/", headers=part, content=bytes(300)).headers["Location"]
    joined = client.post("/uploads/", headers={**TUS, **meta("joined"), "Upload-Concat": f"final;{parts}"})
    assert joined.status_code == 507
    assert piece(told, bytes(200), **{"Upload-Length": "200"}) == 204

    assert client.put("/files/more", content=b"x").status_code == 507
    assert sorted(path.name for path in served.iterdir() if path.is_file()) == ["some", "told"]
