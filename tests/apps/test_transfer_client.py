"""`hardy transfer put | get`: whole and right, whoever is killed at whatever byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

from hardy.apps.transfer import Effort, Remote, get, put
from hardy.apps.transfer.effort import Pace
from hardy.apps.transfer.errors import BadRequest, NameTaken, SourceChanged

READY = r"serving .* at (https?://\S+)"
KILLS = int(os.environ.get("HARDY_TRANSFER_KILLS", "4"))
SEED = int(os.environ.get("HARDY_TRANSFER_SEED", "5"))


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


# Tells each progress, and dies by its own hand when so many bytes are there.
DIES = """
import os, signal, sys
from hardy.apps.transfer import Effort, Remote, get, put

what, url, path, into, aim = sys.argv[1:]

def progress(done, total):
    os.write(1, b"%d\\n" % done)
    if done >= int(aim):
        os.kill(os.getpid(), signal.SIGKILL)

with Remote(url) as remote:
    if what == "put":
        put(remote, path, effort=Effort(progress=progress))
    else:
        get(remote, path, into, effort=Effort(progress=progress))
"""


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
    # Composed, and not: two names. As long as one may be. Of dots alone.
    odd = ("sub/\u00e9", "sub/e\u0301", "x" * 255, "...")
    for number, name in enumerate(("a", "sub/b", "sub/\u00fc c", *odd)):
        write(tmp_path / "f" / name, 1000 + number)
    (tmp_path / "f/link").symlink_to("/etc")
    os.mkfifo(tmp_path / "f/pipe")
    noticed: list[str] = []

    for _ in range(2):
        noticed.clear()
        names = put(remote, tmp_path / "f", effort=Effort(notice=noticed.append))
        assert sorted(names) == sorted(["f/a", "f/sub/b", "f/sub/\u00fc c", *(f"f/{name}" for name in odd)])
        assert len(get(remote, "f", tmp_path / "here")) == 7
        assert ["link" in noticed[0], "pipe" in noticed[1]] == [True, True]
    with pytest.raises(BadRequest, match="no regular file"):
        put(remote, tmp_path / "f/pipe")
    for name in odd:
        assert (tmp_path / "here/f" / name).read_bytes() == (tmp_path / "f" / name).read_bytes()
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
    chance = random.Random(SEED)
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


def test_nothing_that_was_acknowledged_is_sent_again_when_the_client_was_killed(
    tmp_path: Path, folder: Path, server: Server, remote: Remote
) -> None:
    """Killed in the midst of its ranges, or of its pieces: the next begins with at least what the last one told."""
    body = write(tmp_path / "a.bin", 40 << 20)
    seen: list[int] = []
    effort = Effort(progress=lambda done, total: seen.append(done))
    for what, path in (("put", str(tmp_path / "a.bin")), ("get", "a.bin")):
        arguments = [what, server.url, path, str(tmp_path / "here"), str(len(body) // 2)]
        killed = subprocess.run([sys.executable, "-c", DIES, *arguments], capture_output=True, text=True, timeout=30)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        told = max(map(int, killed.stdout.split()))
        seen.clear()

        _ = put(remote, path, effort=effort) if what == "put" else get(remote, path, tmp_path / "here", effort=effort)

        assert len(body) // 2 <= told <= seen[0] < len(body), what
        assert seen == sorted(seen)

    assert (folder / "a.bin").read_bytes() == (tmp_path / "here/a.bin").read_bytes() == body


def test_transfer_goes_on_when_the_server_comes_back_at_another_port(tmp_path: Path, folder: Path) -> None:
    """An upload and a download that were begun at one go on at the other."""
    body = write(tmp_path / "a.bin", 20 << 20)
    write(folder / "b.bin", 20 << 20)
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        if done:
            raise InterruptedError

    def both(remote: Remote, progress: Callable[[int, int], None]) -> None:
        effort = Effort(progress=progress, connections=1)
        for begin in (
            lambda: put(remote, tmp_path / "a.bin", effort=effort),
            lambda: get(remote, "b.bin", tmp_path / "here", effort=effort),
        ):
            with suppress(InterruptedError):
                begin()

    for progress in (stop, lambda done, total: seen.append(done)):
        command = ("hardy", "transfer", "serve", str(folder), "--port", "0", "--workers", "1")
        with serving(*command, ready=READY, folder=tmp_path) as server, Remote(server.url) as remote:
            both(remote, progress)

    assert seen[0] > 0
    assert seen[seen.index(20 << 20) + 1] > 0
    assert (folder / "a.bin").read_bytes() == body
    assert (tmp_path / "here/b.bin").read_bytes() == (folder / "b.bin").read_bytes()


def test_two_clients_put_one_file_at_a_time(tmp_path: Path, folder: Path, server: Server, state: Path) -> None:
    """They share the upload or have one each; both are told that it is there, and it is, once."""
    body = write(tmp_path / "a.bin", 40 << 20)

    both = [start("put", server.url, str(tmp_path / "a.bin")) for _ in range(2)]
    said = [process.communicate(timeout=40) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    assert (folder / "a.bin").read_bytes() == body
    assert os.listdir(state) == []
    assert hidden(folder, "part") == []


def test_put_and_get_survive_kills_of_the_server(tmp_path: Path, folder: Path, server: Server, remote: Remote) -> None:
    """Workers are killed at random bytes under a client, which goes on with the next one."""
    body = write(tmp_path / "a.bin", 40 << 20)
    chance = random.Random(SEED)
    kills = 0

    def progress(done: int, total: int) -> None:
        nonlocal kills, after
        if kills < KILLS and done >= after and done < total:
            after = done + chance.randrange(1, total // 8)
            kills += 1
            for pid in descendants(server.process.pid):
                # One that was killed before may be seen, and gone by now.
                with suppress(ProcessLookupError):
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


def test_put_draws_its_progress_when_it_has_a_terminal(tmp_path: Path, server: Server) -> None:
    """A bar with what is there and what there is in all."""
    write(tmp_path / "a.bin", 3_000_000)
    ours, its = os.openpty()
    command = [sys.executable, "-m", "hardy", "transfer", "put", server.url, str(tmp_path / "a.bin")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stderr=its, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(its)
        drawn = bytearray()
        with suppress(OSError), open(ours, "rb", buffering=0) as terminal:  # EIO: its other end is closed
            while block := terminal.read(65536):
                drawn += block

    assert process.returncode == 0
    assert b"3.0/3.0 MB" in drawn


def test_limit_rate_is_kept_when_many_threads_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes take so many seconds, by a clock that only the pauses move."""
    clock = [100.0]
    monkeypatch.setattr("hardy.apps.transfer.effort.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("hardy.apps.transfer.effort.time.sleep", lambda seconds: clock.append(clock.pop() + seconds))
    pace = Pace(1000)

    for _ in range(10):
        pace.spend(500)

    assert clock[0] == pytest.approx(105.0)
