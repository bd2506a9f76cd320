"""`hardy transfer serve` for the clients of others, as they are: tus-js-client, tuspy, curl; and over TLS."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.node import node_package
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

READY = r"serving .* at (https?://\S+)"
BODY = os.urandom(5_000_001)
CERTIFICATE = str(Path(__file__).parents[1] / "helpers/localhost.pem")
TUS_JS = "tus-js-client@4.3.1"
PAGE = "http://127.0.0.1:1"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl")

# Arguments: endpoint, file, where its addresses are kept, after how many bytes it dies ("" for never).
TUS_JS_UPLOAD = """
const fs = require('fs'), tus = require('tus-js-client');
const [endpoint, path, kept, dies] = process.argv.slice(2);
const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint, chunkSize: 1 << 20, retryDelays: [100], metadata: { filename: 'js/a.bin' },
  urlStorage: new tus.FileUrlStorage(kept),
  onError: error => { console.error(error); process.exit(1); },
  onChunkComplete: (size, offset) => {
    console.log(offset);
    if (dies && offset >= dies) process.kill(process.pid, 'SIGKILL');
  },
});
upload.findPreviousUploads().then(previous => {
  if (previous.length) upload.resumeFromPreviousUpload(previous[0]);
  upload.start();
});
"""

# In three parts at a time, which the server is to join.
TUS_JS_PARALLEL = """
const fs = require('fs'), tus = require('tus-js-client');
const [endpoint, path] = process.argv.slice(2);
new tus.Upload(fs.readFileSync(path), {
  endpoint, chunkSize: 1 << 20, parallelUploads: 3, metadata: { filename: 'parallel.bin' },
  onError: error => { console.error(error); process.exit(1); },
}).start();
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    """One for all: what each of them uploads has a name of its own."""
    command = ("hardy", "transfer", "serve", str(folder), "--port", "0", "--workers", "2", "--cors", PAGE)
    with serving(*command, ready=READY, folder=tmp_path_factory.mktemp("log")) as running:
        # Else a worker that comes later would be taken for what a test left behind.
        assert wait_until(lambda: len(descendants(running.process.pid)) == 2, 20)
        yield running


@pytest.fixture(autouse=True)
def source(tmp_path: Path) -> Path:
    (tmp_path / "a.bin").write_bytes(BODY)
    return tmp_path / "a.bin"


def node(script: str, package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["node", "-e", script, "script", *arguments]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, timeout=30)


@pytest.mark.timeout(120)
def test_tus_js_client_goes_on_where_it_was_killed(tmp_path: Path, source: Path, folder: Path, server: Server) -> None:
    """Killed after three pieces and started again, it begins with the fourth; parts that come at a time are joined."""
    package = node_package(TUS_JS)
    arguments = (f"{server.url}uploads/", str(source), str(tmp_path / "kept.json"))

    killed = node(TUS_JS_UPLOAD, package, *arguments, str(3 << 20))
    resumed = node(TUS_JS_UPLOAD, package, *arguments, "")
    joined = node(TUS_JS_PARALLEL, package, f"{server.url}uploads/", str(source))

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.split() == [str(1 << 20), str(2 << 20), str(3 << 20)]
    assert resumed.stdout.split() == [str(4 << 20), str(len(BODY))], resumed.stderr
    assert joined.returncode == 0, joined.stderr
    assert (folder / "js/a.bin").read_bytes() == (folder / "parallel.bin").read_bytes() == BODY


def test_tuspy_uploads_in_pieces(folder: Path, server: Server) -> None:
    """A client of others, as it is."""
    from tusclient.client import TusClient  # type: ignore[import-not-found]

    uploader = TusClient(f"{server.url}uploads/").uploader(
        file_stream=io.BytesIO(BODY), chunk_size=700_000, metadata={"filename": "t.bin"}, upload_checksum=True
    )
    uploader.upload(stop_at=2_000_000)
    again = TusClient(f"{server.url}uploads/").uploader(
        file_stream=io.BytesIO(BODY), chunk_size=700_000, url=uploader.url, upload_checksum=True
    )
    assert again.offset >= 2_000_000
    again.upload()

    assert (folder / "t.bin").read_bytes() == BODY


def curl(*options: str) -> str:
    done = subprocess.run(["curl", "-sS", *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_curl
def test_curl_puts_gets_resumes_and_asks_for_ranges(tmp_path: Path, folder: Path, server: Server) -> None:
    """`curl -T`, with a digest that is compared; `-C -` over a file that is half there; `-r`; tus by hand."""
    (tmp_path / "b.bin").write_bytes(BODY[:1_000_000])
    target = f"{server.url}files/sub/a.bin"
    status = ("-o", str(tmp_path / "said"), "-w", "%{http_code}")
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    right, wrong = (f"Repr-Digest: sha-256=:{text}:" for text in (digest, digest[::-1].replace("=", "A", 1)))

    assert curl("-T", str(tmp_path / "a.bin"), "-H", right, *status, target) == "201"
    assert curl("-C", "-", "-o", str(tmp_path / "b.bin"), "-w", "%{size_download}", target) == str(
        len(BODY) - 1_000_000
    )
    assert (folder / "sub/a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes() == BODY
    curl("-r", "10-19", "-o", str(tmp_path / "range"), target)
    assert (tmp_path / "range").read_bytes() == BODY[10:20]

    # A PUT that is a part (`curl -C 5 -T`) would make a file of its tail.
    for bad in (["-C", "5"], ["-H", wrong], ["-H", "Content-Encoding: gzip"]):
        assert curl("-T", str(tmp_path / "a.bin"), *bad, *status, f"{server.url}files/bad") in ("400", "415", "460")
    assert not (folder / "bad").exists()

    tus = ("-H", "Tus-Resumable: 1.0.0")
    new = ("-X", "POST", "-H", "Upload-Length: 5000001", "-H", "Upload-Metadata: filename aGFuZA==")
    head = curl(*tus, *new, "-D", "-", f"{server.url}uploads/")
    url = next(line.partition(" ")[2] for line in head.splitlines() if line.lower().startswith("location:"))
    piece = (*tus, "-X", "PATCH", "-H", "Content-Type: application/offset+octet-stream", "-H")
    for part, offset in ((BODY[:99], 0), (BODY[99:], 99)):
        (tmp_path / "piece").write_bytes(part)
        curl(*piece, f"Upload-Offset: {offset}", "--data-binary", f"@{tmp_path / 'piece'}", url)
    assert (folder / "hand").read_bytes() == BODY


def test_pages_of_other_origins_may_use_it_only_when_told(server: Server) -> None:
    """The origin that was named may ask with all methods and read what tus says; another is told nothing."""
    asks = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "upload-offset, authorization"}

    def ask(origin: str) -> tuple[httpx.Headers, httpx.Headers]:
        before = httpx.options(f"{server.url}uploads/x", headers={"Origin": origin, **asks}).headers
        return before, httpx.get(f"{server.url}files/", headers={"Origin": origin}).headers

    before, answer = ask(PAGE)
    assert before["Access-Control-Allow-Origin"] == answer["Access-Control-Allow-Origin"] == PAGE
    assert "PATCH" in before["Access-Control-Allow-Methods"]
    assert "upload-offset" in before["Access-Control-Allow-Headers"].lower()
    assert "Upload-Offset" in answer["Access-Control-Expose-Headers"]
    for headers in ask("http://other.example"):
        assert "Access-Control-Allow-Origin" not in headers


@needs_curl
def test_tls_serves_those_who_know_its_certificate(tmp_path: Path) -> None:
    """HTTPS for curl and for our client, each told of the certificate; who does not know it is refused by itself."""
    (tmp_path / "tls").mkdir()
    options = ("--port", "0", "--tls-cert", CERTIFICATE, "--host", "localhost")
    with serving("hardy", "transfer", "serve", "tls", *options, ready=READY, folder=tmp_path) as server:
        assert server.url.startswith("https://localhost:")
        curl("--cacert", CERTIFICATE, "-T", str(tmp_path / "a.bin"), f"{server.url}files/a.bin")

        def hardy(*more: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "hardy", "transfer", "get", f"{server.url}files/a.bin", *more]
            return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)

        got = hardy("--ca", CERTIFICATE, "--into", "here")
        refused = hardy("--into", "there", "--patience", "0.1")

    assert (got.returncode, refused.returncode) == (0, 1), got.stderr
    assert "certificate" in refused.stderr
    assert (tmp_path / "here/a.bin").read_bytes() == BODY
