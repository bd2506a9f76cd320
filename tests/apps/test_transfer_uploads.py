"""Uploads into a folder: killed at each step, refused what cannot be, and nothing lost by either."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from helpers.procs import run_script
from helpers.servers import serving

from hardy.apps.transfer.errors import BadName, NameTaken, NoSuchFile, NoSuchUpload, UploadBusy
from hardy.apps.transfer.folder import Folder
from hardy.apps.transfer.names import parse_new_name
from hardy.apps.transfer.upload import Info
from hardy.apps.transfer.uploads import STEPS, Uploads

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}

LIFE = """
    import os, signal, sys
    from hardy.apps.transfer.folder import Folder
    from hardy.apps.transfer.upload import Info
    from hardy.apps.transfer.uploads import Uploads

    path, step, known, removed = sys.argv[1:5]

    def die(done):
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    uploads = Uploads(Folder(path), on_step=die)
    info = uploads.create(Info("", 9, "in/a.bin"))
    open(known, "w").write(info.id)
    with uploads.open(info.id) as upload:
        upload.claim()
        upload.write([b"abc"])
        upload.compare(True, "sha256")
    if removed == "removed":
        with uploads.open(info.id) as upload:
            upload.remove()
    part = uploads.create(Info("", 6, "", concat="partial"))
    with uploads.open(part.id) as upload:
        upload.write([b"defghi"])
    with uploads.open(info.id) as upload:
        upload.append_from(part.id)
        upload.finish()
    """


@pytest.fixture
def served(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


@pytest.fixture
def uploads(served: Path) -> Iterator[Uploads]:
    folder = Folder(str(served))
    opened = Uploads(folder)
    yield opened
    opened.close()
    folder.close()


@pytest.mark.parametrize("step", STEPS)
def test_upload_goes_on_when_its_server_was_killed_at_a_step(
    tmp_path: Path, served: Path, uploads: Uploads, step: str
) -> None:
    """After a kill at each step the upload is unknown, goes on from what is there, or is done; the file is whole."""
    known = tmp_path / "known"
    removed = "removed" if step.startswith("remove") else "kept"

    done = run_script(LIFE, str(served), step, str(known), removed)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (served / "in/a.bin").exists() or (served / "in/a.bin").read_bytes() == b"abcdefghi"
    if removed == "removed":
        with pytest.raises(NoSuchUpload):
            uploads.open(known.read_text())
        return
    if not known.exists():
        assert step.startswith("create")
        return
    with uploads.open(known.read_text()) as upload:
        assert upload.offset in (0, 3, 9)
        if not upload.done:
            upload.write([b"abcdefghi"[upload.offset :]])
            upload.finish()
    assert (served / "in/a.bin").read_bytes() == b"abcdefghi"


def test_piece_that_was_not_compared_does_not_count(uploads: Uploads) -> None:
    """Its sender or we died between the bytes and their comparison: they are gone."""
    info = uploads.create(Info("", 6, "a"))
    with uploads.open(info.id) as upload:
        upload.write([b"abc"])
        upload.claim()
        upload.write([b"xyz"])

    with uploads.open(info.id) as upload:
        assert upload.offset == 3


def test_upload_has_one_writer(uploads: Uploads) -> None:
    """The second is told to ask again."""
    info = uploads.create(Info("", 6, "a"))

    with uploads.open(info.id), pytest.raises(UploadBusy):
        uploads.open(info.id)


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/etc/passwd",
        "a/../../b",
        "a//b",
        ".",
        "a\0b",
        "a\nb",
        "\u202egpj.exe",
        "a\u200b",
        "a/ ",
        "x" * 256,
        ".hardy-transfer/x",
        "\udc80",
    ],
)
def test_name_is_refused_when_it_escapes_or_misleads(name: str) -> None:
    """With a sentence that says which part."""
    with pytest.raises(BadName):
        parse_new_name(name)


def test_folder_follows_no_link(tmp_path: Path, served: Path, uploads: Uploads) -> None:
    """Neither to read, nor to write, nor to list."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/s").write_text("s")
    (served / "out").symlink_to(tmp_path / "secret")
    (served / "s").symlink_to(tmp_path / "secret/s")
    info = uploads.create(Info("", 1, "later/new"))
    (served / "later").symlink_to(tmp_path / "secret")

    with pytest.raises(NameTaken, match="not followed"):
        uploads.create(Info("", 1, "out/new"))
    for parts in (("out", "s"), ("s",)):
        with pytest.raises(NoSuchFile):
            uploads.folder.open(parts)
    with uploads.open(info.id) as upload:
        upload.write([b"x"])
        with pytest.raises(NameTaken, match="not followed"):
            upload.finish()
    assert os.listdir(tmp_path / "secret") == ["s"]
    assert list(uploads.folder.entries(recursive=True)) == []


def test_upload_waits_when_the_disk_is_full(served: Path, uploads: Uploads) -> None:
    """507 and a sentence; what fitted stays, and the rest comes when there is room. (A limit stands for the disk.)"""
    code = f"""
        import resource, signal, sys
        from hardy.apps.transfer.errors import DiskFull
        from hardy.apps.transfer.folder import Folder
        from hardy.apps.transfer.upload import Info
        from hardy.apps.transfer.uploads import Uploads
        uploads = Uploads(Folder({str(served)!r}))
        info = uploads.create(Info("", 10_000, "a"))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with uploads.open(info.id) as upload:
            try:
                upload.write([b"x" * 10_000])
            except DiskFull as error:
                print(info.id, error.status)
        """

    done = run_script(code)

    upload_id, status = done.stdout.split()
    assert status == "507"
    with uploads.open(upload_id) as upload:
        assert upload.offset == 4096
        upload.write([b"x" * (10_000 - 4096)])
        upload.finish()
    assert (served / "a").read_bytes() == b"x" * 10_000


def meta(**pairs: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.fixture
def client(tmp_path: Path, served: Path) -> Iterator[httpx.Client]:
    options = ("--port", "0", "--workers", "2", "--read-token", "r", "--write-token", "w", "--quota", "1000")
    with (
        serving("hardy", "transfer", "serve", str(served), *options, ready=READY, folder=tmp_path) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": "Bearer w"}, timeout=20) as opened,
    ):
        yield opened


def test_server_refuses_with_a_status_and_a_sentence(served: Path, client: httpx.Client) -> None:
    """Bad tokens, versions, names, lengths, checksums, quotas; and no file comes of any."""

    def new(length: str = "3", **more: str) -> httpx.Response:
        return client.post("/uploads/", headers={**TUS, "Upload-Length": length, **more})

    def piece(url: str, body: bytes, **more: str) -> int:
        headers = {**PIECE, "Upload-Offset": "0", **{key.replace("_", "-"): value for key, value in more.items()}}
        return client.patch(url, content=body, headers=headers).status_code

    read = {"Authorization": "Bearer r"}
    assert client.get("/", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/files/", headers=read).json() == []
    assert client.post("/uploads/", headers={**TUS, **read, "Upload-Length": "3"}).status_code == 403
    assert client.post("/uploads/", headers={"Upload-Length": "3"}).status_code == 412
    assert [new(length).status_code for length in ("-1", "x", "2000")] == [400, 400, 507]
    for name in ("../a", "/a", "a\0"):
        refused = new(**{"Upload-Metadata": meta(filename=name)})
        assert (refused.status_code, refused.json()["error"]) == (400, "BadName")
    assert client.get("/files/%2e%2e/%2e%2e/etc/passwd").status_code == 400

    url = new(**{"Upload-Metadata": meta(filename="a")}).headers["Location"]
    assert piece(url, b"abc", Upload_Checksum=f"sha1 {b64(hashlib.sha1(b'x').digest())}") == 460
    assert piece(url, b"abc", Upload_Checksum="crc32 AAAA") == 400
    assert piece(url, b"abcdef") == 413
    assert client.head(url, headers=TUS).headers["Upload-Offset"] == "3"
    wrong = new(**{"Upload-Metadata": meta(filename="b", sha256="0" * 64)}).headers["Location"]
    assert piece(wrong, b"abc") == 460
    assert not (served / "b").exists()
    assert new(**{"Upload-Metadata": meta(filename="a")}).status_code == 409

    old = new(**{"Upload-Metadata": meta(filename="old")}).headers["Location"]
    os.utime(served / f".hardy-transfer/{old.rpartition('/')[2]}.part", (1, 1))
    assert client.head(old, headers=TUS).status_code == 410
    assert "given up" in client.patch(old, content=b"abc", headers={**PIECE, "Upload-Offset": "0"}).json()["detail"]


def test_server_joins_terminates_and_defers(served: Path, client: httpx.Client) -> None:
    """The extensions: concatenation, termination, a length told later, a body with the creation."""
    parts = []
    for body in (b"abc", b"def"):
        made = client.post(
            "/uploads/", headers={**PIECE, "Upload-Length": "3", "Upload-Concat": "partial"}, content=body
        )
        parts.append(made.headers["Location"])
    joined = {"Upload-Concat": f"final;{' '.join(parts)}", "Upload-Metadata": meta(filename="j")}
    assert client.post("/uploads/", headers={**TUS, **joined}).status_code == 201
    assert (served / "j").read_bytes() == b"abcdef"

    later = client.post(
        "/uploads/", headers={**TUS, "Upload-Defer-Length": "1", "Upload-Metadata": meta(filename="d")}
    ).headers["Location"]
    assert client.head(later, headers=TUS).headers["Upload-Defer-Length"] == "1"
    told = {**PIECE, "Upload-Offset": "0", "Upload-Length": "2"}
    assert client.patch(later, content=b"xy", headers=told).status_code == 204
    assert (served / "d").read_bytes() == b"xy"

    assert client.delete(parts[0], headers=TUS).status_code == 204
    assert client.head(parts[0], headers=TUS).status_code == 404


def test_server_gives_up_an_upload_that_idles(tmp_path: Path, served: Path) -> None:
    """410 or 404 after its time, and nothing of it stays."""
    folder = Folder(str(served))
    short = Uploads(folder, lifetime_s=0.5)
    info = short.create(Info("", 3, "a"))
    os.utime(served / ".hardy-transfer" / f"{info.id}.part", (1, 1))

    with pytest.raises(Exception, match="given up"):
        short.open(info.id)
    assert short.clear_away() == 1

    assert os.listdir(served / ".hardy-transfer") == []
    short.close()
    folder.close()
