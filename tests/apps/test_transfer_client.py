"""`hardy transfer put | get`: whole and right, whoever is killed at whatever byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

from hardy.apps.transfer import Effort, Remote, get, put
from hardy.apps.transfer.errors import NameTaken, SourceChanged

READY = r"serving .* at (https?://\S+)"
KILLS = int(os.environ.get("HARDY_TRANSFER_KILLS", "8"))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/hardy-transfer"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "served"
    made.mkdir()
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path) -> Iterator[Server]:
    command = ("hardy", "transfer", "serve", str(folder), "--port", "0", "--workers", "1", "--no-fsync")
    with serving(*command, ready=READY, folder=tmp_path) as running:
        yield running


@pytest.fixture
def remote(server: Server) -> Iterator[Remote]:
    with Remote(server.url) as opened:
        yield opened


def hidden(folder: Path, kind: str) -> list[Path]:
    return list((folder / ".hardy-transfer").glob(f"*.{kind}"))


def write(path: Path, size: int, seed: int = 1) -> bytes:
    path.write_bytes(random.Random(seed).randbytes(size))
    return path.read_bytes()


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "hardy", "transfer", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("size", [0, 1, (8 << 20) - 1, 8 << 20, (33 << 20) + 5])
def test_file_goes_there_and_back(tmp_path: Path, folder: Path, remote: Remote, state: Path, size: int) -> None:
    """Every size, with its pieces' borders; nothing of either side's notes stays."""
    body = write(tmp_path / "a.bin", size)

    assert put(remote, tmp_path / "a.bin", "x/") == ["x/a.bin"]
    (got,) = get(remote, "x/a.bin", tmp_path / "here")

    assert (folder / "x/a.bin").read_bytes() == got.read_bytes() == body
    assert os.listdir(tmp_path / "here") == ["a.bin"]
    assert os.listdir(state) == []
    assert hidden(folder, "part") == []


def test_folder_goes_there_and_back_and_again(tmp_path: Path, folder: Path, remote: Remote) -> None:
    """All its files; what is there already with the same content is no error, with another it is."""
    (tmp_path / "f/sub").mkdir(parents=True)
    for number, name in enumerate(("a", "sub/b", "sub/\u00fc c")):
        write(tmp_path / "f" / name, 1000 + number)

    for _ in range(2):
        assert put(remote, tmp_path / "f") == ["f/a", "f/sub/b", "f/sub/\u00fc c"]
        assert len(get(remote, "f", tmp_path / "here")) == 3
    assert (tmp_path / "here/f/sub/\u00fc c").read_bytes() == (tmp_path / "f/sub/\u00fc c").read_bytes()
    old = (folder / "f/a").read_bytes()
    write(tmp_path / "f/a", 1000, seed=9)
    with pytest.raises(NameTaken):
        put(remote, tmp_path / "f/a", "f/a")
    assert (folder / "f/a").read_bytes() == old
    put(remote, tmp_path / "f/a", "f/a", replace=True)
    with pytest.raises(NameTaken):
        get(remote, "f/a", tmp_path / "here/f")
    get(remote, "f/a", tmp_path / "here/f", replace=True)
    assert (tmp_path / "here/f/a").read_bytes() == (tmp_path / "f/a").read_bytes()


def test_put_and_get_survive_kills_of_the_client(tmp_path: Path, folder: Path, server: Server) -> None:
    """Killed at random bytes and started again, until it is through: whole, and the offset never goes back."""
    body = write(tmp_path / "a.bin", 40 << 20)
    chance = random.Random(5)
    kinds = {
        "put": (["put", server.url, str(tmp_path / "a.bin")], lambda: hidden(folder, "part")),
        "get": (
            ["get", server.url, "a.bin", "--into", str(tmp_path / "here")],
            lambda: list((tmp_path / "here").glob(".*-get")),
        ),
    }
    for kind, (command, traces) in kinds.items():
        for _ in range(max(1, KILLS // 4)):
            process = start(*command, "--limit-rate", "60M")
            fraction = chance.random()
            # Killed when it is under way: at whatever byte it is by then.
            assert wait_until(lambda found=traces, running=process: found() or running.poll() is not None, 20)
            aim = int(fraction * len(body) * 0.5)
            wait_until(
                lambda found=traces, running=process, aim=aim: (
                    running.poll() is not None or any(each.stat().st_size >= aim for each in found() if each.exists())
                ),
                fraction * 0.3,
            )
            process.kill()
            process.communicate()
        done = start(*command)
        output, problem = done.communicate(timeout=50)
        assert done.returncode == 0, (kind, output, problem)

    assert (folder / "a.bin").read_bytes() == (tmp_path / "here/a.bin").read_bytes() == body


def test_put_and_get_survive_kills_of_the_server(tmp_path: Path, folder: Path, server: Server, remote: Remote) -> None:
    """Workers are killed at random bytes under a client, which goes on with the next one."""
    body = write(tmp_path / "a.bin", 40 << 20)
    chance = random.Random(7)
    kills = 0

    def progress(done: int, total: int) -> None:
        nonlocal kills, after
        if kills < KILLS and done >= after and done < total:
            after = done + chance.randrange(1, total // 8)
            kills += 1
            for pid in descendants(server.process.pid):
                os.kill(pid, signal.SIGKILL)

    effort = Effort(limit_rate=80 << 20, connections=2, progress=progress)
    after = 1
    put(remote, tmp_path / "a.bin", effort=effort)
    after, kills = 1, 0
    (got,) = get(remote, "a.bin", tmp_path / "here", effort=effort)

    assert kills > 0
    assert (folder / "a.bin").read_bytes() == got.read_bytes() == body
    assert os.listdir(tmp_path / "here") == ["a.bin"]


def test_put_says_so_when_the_file_changes_meanwhile(tmp_path: Path, folder: Path, remote: Remote) -> None:
    """Nothing appears on the server, and nothing of the upload stays."""
    write(tmp_path / "a.bin", 20 << 20)

    def change(done: int, total: int) -> None:
        if done:
            os.utime(tmp_path / "a.bin", (1, 1))

    with pytest.raises(SourceChanged, match="changed while it was sent"):
        put(remote, tmp_path / "a.bin", effort=Effort(progress=change))

    assert not (folder / "a.bin").exists()
    assert hidden(folder, "part") == []


def test_get_begins_anew_when_the_file_changes_meanwhile(tmp_path: Path, folder: Path, remote: Remote) -> None:
    """What comes is one version, whole: never the begin of one and the end of another."""
    write(folder / "a.bin", 40 << 20)
    new = random.Random(2).randbytes(40 << 20)
    changed = []

    def change(done: int, total: int) -> None:
        if done and not changed:
            changed.append(done)
            (folder / "new").write_bytes(new)
            os.rename(folder / "new", folder / "a.bin")

    (got,) = get(remote, "a.bin", tmp_path / "here", effort=Effort(progress=change, connections=1))

    assert changed
    assert got.read_bytes() == new
