"""Many connections cut at random bytes, as fast as they can be made (HARDY_TRANSFER_CUTS=1000 for the long run)."""

from __future__ import annotations

import os
import random
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from helpers.servers import serving

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
CUTS = int(os.environ.get("HARDY_TRANSFER_CUTS", "60"))
# "a.bin", in base64.
NAME = "filename YS5iaW4="


def send_and_cut(url: str, offset: int, length: int, body: bytes, *, reset: bool) -> None:
    """Begin a piece of so many bytes, send some of them, and be gone: by an end of file, or by a reset."""
    found = urlsplit(url)
    head = (
        f"PATCH {found.path} HTTP/1.1\r\nHost: {found.netloc}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    with socket.create_connection((found.hostname, found.port)) as connection:
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(head.encode() + body)


@pytest.mark.timeout(300)
def test_upload_is_whole_when_its_connections_are_cut_at_random_bytes(tmp_path: Path) -> None:
    """The offset never goes back, is never more than was sent, and the file is what was sent."""
    served = tmp_path / "served"
    served.mkdir()
    chance = random.Random(11)
    body = chance.randbytes(CUTS * 10_000)
    command = ("hardy", "transfer", "serve", str(served), "--port", "0", "--workers", "2")
    with serving(*command, ready=READY, folder=tmp_path) as server, httpx.Client(timeout=30) as client:
        made = client.post(
            f"{server.url}uploads/", headers={**TUS, "Upload-Length": str(len(body)), "Upload-Metadata": NAME}
        )
        url, offset = made.headers["Location"], 0
        for _ in range(CUTS):
            count = chance.randrange(20_000)
            # The last byte stays for the end.
            piece = body[offset : min(offset + count, len(body) - 1)]
            send_and_cut(url, offset, len(body) - offset, piece, reset=chance.random() < 0.5)
            now = int(client.head(url, headers=TUS).headers["Upload-Offset"])
            assert offset <= now <= offset + len(piece)
            offset = now
        last = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        assert client.patch(url, content=body[offset:], headers=last).status_code == 204

    assert (served / "a.bin").read_bytes() == body
