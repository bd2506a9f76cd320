"""What a `TCPServer` listens on: IPv6, unix sockets, TLS, what systemd hands over; and broadcasts between workers."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import netting
from helpers.netting import Client, connected, one_at_each
from helpers.procfs import wait_dead
from helpers.waiting import wait_until

from hardy import TCPServer

CERTIFICATE = str(Path(__file__).parents[1] / "helpers/localhost.pem")
HANDLERS = pytest.mark.parametrize("handler", [netting.answer, netting.answer_plainly], ids=["async", "plain"])


@HANDLERS
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_server_speaks_tls(handler: Any, loop: str) -> None:
    """With a client that checks the certificate; one that speaks none costs itself."""
    context = ssl.create_default_context(cafile=CERTIFICATE)
    with TCPServer(handler, workers=1, certfile=CERTIFICATE, loop=loop) as server, connected(server) as (plain,):
        plain.say("this is no TLS")
        with (
            socket.create_connection(server.address, 20) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as client,
        ):
            client.sendall(b"secret\n")

            assert client.recv(100) == b"secret\n"
            client.sendall(b"x" * 200_000 + b"\n")
            got = b""
            while not got.endswith(b"\n"):
                got += client.recv(65_536)
            assert len(got) == 200_001
        # An alert, or nothing.
        while plain.hear():
            pass


def test_server_serves_both_families() -> None:
    """With no host: all addresses of IPv4 and IPv6, at one port."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 address ::1")
    with TCPServer(netting.answer, "", workers=1) as server:
        ports = {int(address.rpartition(":")[2]) for address in server.addresses}
        for host in ("127.0.0.1", "::1"):
            with connected((host, *ports)) as (client,):
                assert client.ask(host) == host


@pytest.mark.parametrize("abstract", [False, True])
def test_server_serves_a_unix_socket(tmp_path: Path, abstract: bool) -> None:
    """Its path goes with it; what a killed server left there is taken over, what another uses is not."""
    path = f"@hardy-test-{os.getpid()}" if abstract else str(tmp_path / "socket")
    if not abstract:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
    with TCPServer(netting.answer, unix=path, workers=1) as server:
        assert server.address == path
        with connected(f"\0{path[1:]}" if abstract else path) as (client,):
            assert client.ask("hello") == "hello"
        with pytest.raises(OSError, match=rf"process {os.getpid()} .*listens there"):
            TCPServer(netting.answer, unix=path)
    assert abstract or not os.path.exists(path)


def test_server_leaves_a_file_alone_that_is_no_socket(tmp_path: Path) -> None:
    """A wrong path costs nobody a file."""
    path = tmp_path / "precious"
    path.write_text("text")

    with pytest.raises(OSError, match="no socket; it was left as it is"):
        TCPServer(netting.answer, unix=str(path))
    assert path.read_text() == "text"


def test_server_takes_the_sockets_that_systemd_hands_over(tmp_path: Path) -> None:
    """As `systemd-socket-activate` does it: descriptor 3, and two variables."""
    (tmp_path / "app.py").write_text("async def handle(stream):\n    await stream.write(await stream.readline())\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        launch = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execv(sys.executable, [sys.executable, '-m', 'hardy', 'serve', 'app:handle', '--systemd'])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", launch, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
        )
        try:
            # It need not be ready: the connection waits in the socket.
            with connected(listener.getsockname()) as (client,):
                assert client.ask("hello") == "hello"
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0


def test_broadcast_reaches_every_worker_whoever_is_killed_or_stopped() -> None:
    """Each client hears it once, whichever worker has it; a dead worker and a stopped one hold up nobody."""
    with TCPServer(netting.answer_and_subscribe, workers=4) as server, one_at_each(server, Client) as clients:
        (dead, first), (stopped, late), (_, near), (_, far) = clients.items()
        first.say("all first")
        assert {client.hear() for client in clients.values()} == {"all first"}

        os.kill(dead, signal.SIGKILL)
        os.kill(stopped, signal.SIGSTOP)
        try:
            for number in range(100):
                near.say(f"all {number}")
            expected = [f"all {number}" for number in range(100)]
            assert [near.hear() for _ in range(100)] == expected
            assert [far.hear() for _ in range(100)] == expected
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert [late.hear() for _ in range(100)] == expected
        assert wait_until(lambda: len(server.workers) == 4, 20)
        assert wait_dead(dead, 20)
