"""Over HTTP: the server killed at each step of an upload, its disk full, its client gone; real clients go on."""

from __future__ import annotations

import base64
import fcntl
import os
import random
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from helpers.procfs import descendants
from helpers.procs import run_script
from helpers.servers import Server, serving, until_it_answers
from helpers.waiting import wait_until

from hardy.apps.transfer import Effort, Remote, put
from hardy.apps.transfer.uploads import STEPS

READY = r"serving .* at (https?://\S+)"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
# Two pieces of our client.
BODY = random.Random(3).randbytes((8 << 20) + 1000)
ROOM = 10 << 20
_Full = Callable[[Server, Path], AbstractContextManager[Callable[[], None]]]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/hardy-transfer"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


@contextmanager
def transfer(folder: Path, tmp_path: Path) -> Iterator[Server]:
    command = ("hardy", "transfer", "serve", str(folder), "--port", "0", "--workers", "1")
    with serving(*command, ready=READY, folder=tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Server]]:
    """A folder and its server, of one worker, for tests that do neither any harm."""
    folder = tmp_path_factory.mktemp("shared")
    with transfer(folder, tmp_path_factory.mktemp("log")) as running:
        # Else a worker that comes later would be taken for what a test left behind.
        the_worker(running)
        yield folder, running


def the_worker(server: Server) -> int:
    (worker,) = wait_until(lambda: descendants(server.process.pid), 20)
    return worker


def create(client: httpx.Client, name: str, **headers: str) -> str:
    told = {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"} if name else {}
    answer = client.post("/uploads/", headers={**TUS, **told, **{k.replace("_", "-"): v for k, v in headers.items()}})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


@pytest.mark.timeout(120)
def test_upload_is_whole_when_its_server_is_killed_at_each_step(tmp_path: Path, served: Path, state: Path) -> None:
    """Our client, joined parts, and a removal: each goes on with the next worker, and no more and no less is there."""
    (tmp_path / "a.bin").write_bytes(BODY)
    aim = tmp_path / "aim"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = ("helpers.transfer_steps", str(served), str(aim))
    with serving(*command, ready=READY, folder=tmp_path, env=env) as server:
        with Remote(server.url) as remote:
            for step in STEPS:
                if not step.startswith(("remove", "join")):
                    aim.write_text(step)
                    put(remote, tmp_path / "a.bin", step)
                    assert not aim.exists(), f"nobody was killed at {step}"
                    assert (served / step).read_bytes() == BODY, step

        with httpx.Client(base_url=server.url, timeout=20) as client:
            made = {"Upload_Length": "3", "Upload_Concat": "partial"}
            parts = [create(client, "", **made) for _ in range(2)]
            for part, body in zip(parts, (b"abc", b"def"), strict=True):
                assert client.patch(part, content=body, headers={**PIECE, "Upload-Offset": "0"}).status_code == 204
            aim.write_text("join.bytes")
            joined = {**TUS, "Upload-Concat": f"final;{' '.join(parts)}", "Upload-Metadata": "filename am9pbmVk"}
            assert until_it_answers(lambda: client.post("/uploads/", headers=joined)).status_code == 201
            assert not aim.exists()
            for step in ("remove.info", "remove.part"):
                url = create(client, step, Upload_Length="3")
                aim.write_text(step)
                assert until_it_answers(lambda url=url: client.delete(url, headers=TUS)).status_code == 404
                assert not aim.exists()
                assert client.head(url, headers=TUS).status_code == 404

    assert (served / "joined").read_bytes() == b"abcdef"
    assert os.listdir(state) == []
    names = {path.name for path in served.iterdir() if path.is_file()}
    assert names == {step for step in STEPS if not step.startswith(("remove", "join"))} | {"joined"}


@contextmanager
def limited(server: Server, served: Path) -> Iterator[Callable[[], None]]:
    """The server's worker may write files of 10 MiB, until what is given is called: as from any user."""
    del served
    worker = the_worker(server)
    _, most = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (ROOM, most))

    def make_room() -> None:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (most, most))

    yield make_room


@contextmanager
def small_disk(server: Server, served: Path) -> Iterator[Callable[[], None]]:
    """10 MiB are free on the disk that is served, until what is given is called."""
    del server
    (served / "ballast").write_bytes(bytes(54 << 20))
    yield lambda: (served / "ballast").unlink(missing_ok=True)


@pytest.fixture(params=["limit", "disk"])
def full(request: pytest.FixtureRequest, served: Path) -> Iterator[_Full]:
    if request.param == "limit":
        yield limited
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(served)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a real full disk needs a user who may mount one (root)")
    yield small_disk
    # Lazily: a worker that has ended may not be gone yet.
    subprocess.run(["umount", "-l", str(served)], check=True)


def test_upload_waits_and_says_so_when_the_disk_is_full(tmp_path: Path, served: Path, full: _Full) -> None:
    """507 and a sentence; what came stays, and when there is room it goes on, by itself if it is our client."""
    body = random.Random(4).randbytes(20 << 20)
    (tmp_path / "ours.bin").write_bytes(body)
    noticed: list[str] = []
    with (
        transfer(served, tmp_path) as server,
        httpx.Client(base_url=server.url, timeout=20) as client,
        full(server, served) as make_room,
        Remote(server.url) as remote,
    ):
        url = create(client, "others.bin", Upload_Length=str(len(body)))
        refused = client.patch(url, content=body, headers={**PIECE, "Upload-Offset": "0"})
        offset = int(client.head(url, headers=TUS).headers["Upload-Offset"])
        assert (refused.status_code, refused.json()["error"]) == (507, "DiskFull")
        assert "when there is room" in refused.json()["detail"]
        assert 0 < offset <= ROOM
        assert not (served / "others.bin").exists()

        def notice(sentence: str) -> None:
            noticed.append(sentence)
            make_room()

        put(remote, tmp_path / "ours.bin", effort=Effort(notice=notice))
        rest = client.patch(url, content=body[offset:], headers={**PIECE, "Upload-Offset": str(offset)})
        assert rest.status_code == 204

        assert (served / "ours.bin").read_bytes() == (served / "others.bin").read_bytes() == body
    assert "when there is room" in noticed[0]


def test_download_is_not_read_to_its_end_when_its_client_is_gone(shared: tuple[Path, Server]) -> None:
    """The file is closed, and most of it was not read."""
    served, server = shared
    with (served / "huge").open("wb") as file:
        file.truncate(4 << 30)
    worker = the_worker(server)
    found = urlsplit(server.url)
    with socket.create_connection((found.hostname, found.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(f"GET /files/huge HTTP/1.1\r\nHost: {found.netloc}\r\n\r\n".encode())
        assert connection.recv(1)

    def is_open() -> bool:
        return any(os.path.realpath(each) == str(served / "huge") for each in Path(f"/proc/{worker}/fd").iterdir())

    assert wait_until(lambda: not is_open(), 20)
    read = int(Path(f"/proc/{worker}/io").read_text().split()[1])
    assert httpx.get(f"{server.url}files/").status_code == 200
    assert read < 1 << 30


def test_worker_is_replaced_when_it_was_told_to_end(tmp_path: Path, served: Path) -> None:
    """SIGTERM for one worker ends that one, and not the server."""
    with transfer(served, tmp_path) as server:
        first = the_worker(server)
        assert httpx.get(f"{server.url}files/").status_code == 200
        os.kill(first, signal.SIGTERM)
        assert wait_until(lambda: first not in descendants(server.process.pid), 20)
        assert until_it_answers(lambda: httpx.get(f"{server.url}files/")).status_code == 200
        assert the_worker(server) != first
        assert "Another takes its place" in server.output
        assert server.end() == 0


def test_server_ends_when_it_is_told_to_while_it_starts_a_worker(served: Path) -> None:
    """SIGTERM in the midst of a start: the command ends, and the worker with it."""
    code = """
        import os, signal, sys
        from hardy.apps._web import Site, keep_serving, listen
        from hardy.apps._web import workers
        from hardy.apps.transfer import make_app

        class Process(workers.Process):
            def start(self):
                super().start()
                os.kill(os.getpid(), signal.SIGTERM)

        workers.Process = Process
        with listen("127.0.0.1", 0) as listener:
            sys.exit(keep_serving(Site("test", "transfer", make_app, (sys.argv[1],), ""), listener, 2))
        """

    assert run_script(code, str(served)).returncode == 0


def test_put_leaves_nothing_when_its_length_was_a_lie(shared: tuple[Path, Server]) -> None:
    """Fewer bytes came than were announced: no file, and nothing of it in the hidden folder."""
    served, server = shared
    found = urlsplit(server.url)
    with socket.create_connection((found.hostname, found.port)) as connection:
        head = f"PUT /files/lie HTTP/1.1\r\nHost: {found.netloc}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"ten bytes.")
        assert wait_until(lambda: list((served / ".hardy-transfer").glob("*.part")), 20)

    assert wait_until(lambda: not list((served / ".hardy-transfer").glob("*.part")), 20)
    assert not (served / "lie").exists()


def test_second_client_is_told_to_wait_when_two_send_to_one_upload(shared: tuple[Path, Server]) -> None:
    """423 and a sentence while the first is at it; then it goes on where the first has stopped."""
    served, server = shared
    with httpx.Client(base_url=server.url, timeout=20) as client:
        url = create(client, "a", Upload_Length="6")
        found = urlsplit(url)
        with socket.create_connection((found.hostname, found.port)) as connection:
            fields = {"Host": found.netloc, **PIECE, "Upload-Offset": "0", "Content-Length": "6"}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            connection.sendall(f"PATCH {found.path} HTTP/1.1\r\n{lines}\r\nabc".encode())
            (part,) = (served / ".hardy-transfer").glob("*.part")
            # The first has it once nobody else can lock it.
            assert wait_until(lambda: is_locked(part), 20)
            second = client.patch(url, content=b"xyz", headers={**PIECE, "Upload-Offset": "0"})
            assert (second.status_code, second.json()["error"]) == (423, "UploadBusy")

        assert client.head(url, headers=TUS).headers["Upload-Offset"] == "3"
        assert client.patch(url, content=b"def", headers={**PIECE, "Upload-Offset": "3"}).status_code == 204
    assert (served / "a").read_bytes() == b"abcdef"


def is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
