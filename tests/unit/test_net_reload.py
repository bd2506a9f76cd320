"""A `TCPServer` that is told to reload, and to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import netting
from helpers.netting import Client, connected
from helpers.servers import Server, serving
from helpers.waiting import wait_until

from hardy import TCPServer

APP = """
import asyncio, logic

async def handle(stream):
    async for line in stream:
        if line == b"slowly\\n":
            ends = asyncio.Event()
            with stream.worker.when_draining(ends.set):
                await stream.write(b"began\\n")
                await ends.wait()
        await stream.write(b"%s %s" % (logic.VERSION, line))
"""


def address_of(server: Server) -> tuple[str, int]:
    host, _, port = server.url.rpartition(":")
    return host, int(port)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """`hardy serve` of the program above."""
    (tmp_path / "app.py").write_text(APP)
    write_version(tmp_path, "1")
    command = ("hardy", "serve", "app:handle", "--port", "0", "--workers", "2", "--drain-timeout", "15")
    with serving(*command, ready=r"at (\S+) ", folder=tmp_path) as running:
        yield running


def answer(address: tuple[str, int], word: str) -> str:
    with connected(address) as (client,):
        return client.ask(word)


def write_version(folder: Path, version: str) -> None:
    # Within the second and of the same length: the cache of bytecode cannot tell it from the one before.
    (folder / "logic.py").write_text(f"VERSION = b'{version}'\n")


def test_reload_serves_the_new_module_and_lets_the_old_one_end(server: Server, tmp_path: Path) -> None:
    """No connection is refused meanwhile, and an open one goes on with the code that it began with."""
    address = address_of(server)
    with connected(address) as (old,):
        assert old.ask("a") == "1 a"
        write_version(tmp_path, "2")
        server.process.send_signal(signal.SIGHUP)

        answers = []
        assert wait_until(lambda: answers.append(answer(address, "b")) or answers[-1] == "2 b", 20)
        assert set(answers) <= {"1 b", "2 b"}
        assert wait_until(lambda: "reloaded" in server.output, 20)
        assert old.ask("c") == "1 c"
    assert server.end() == 0


def test_reload_with_a_syntax_error_leaves_the_old_workers(server: Server, tmp_path: Path) -> None:
    """The log has the line; after the mend the next reload succeeds."""
    address = address_of(server)
    good = (tmp_path / "app.py").read_text()
    with connected(address) as (old,):
        (tmp_path / "app.py").write_text("async def handle(:\n")
        server.process.send_signal(signal.SIGHUP)

        assert wait_until(lambda: "the reload failed, and the old workers go on" in server.output, 20)
        assert "SyntaxError" in server.output
        assert "async def handle(:" in server.output
        assert old.ask("a") == answer(address, "a") == "1 a"
        (tmp_path / "app.py").write_text(good)
        write_version(tmp_path, "3")
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "reloaded" in server.output, 20)
        # The old ones are told next, and may have let one in before.
        assert wait_until(lambda: answer(address, "a") == "3 a", 20)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_when_the_requests_in_hand_are_answered(server: Server, number: int) -> None:
    """Nobody new is let in; who is being answered gets the answer."""
    with connected(address_of(server)) as (client,):
        assert client.ask("slowly") == "began"

        server.process.send_signal(number)

        assert client.hear() == "1 slowly"
        client.close()
        assert server.process.wait(20) == 0
        with pytest.raises(ConnectionRefusedError):
            Client(address_of(server))
    assert "Traceback" not in server.output


def test_stop_ends_what_does_not_end_by_itself() -> None:
    """After `drain_timeout` the handlers are cancelled."""
    with TCPServer(netting.handle_for_ever, workers=2, drain_timeout=0.2) as server, connected(server) as (client,):
        assert client.hear() == "here"

        server.stop()

        assert client.hear() == ""


def test_stop_with_no_patience_kills_what_does_not_end() -> None:
    """Also a handler that holds the event loop."""
    with TCPServer(netting.answer_plainly, workers=1, drain_timeout=60) as server, connected(server) as (client,):
        assert client.ask("a") == "a"

        server.stop(timeout=0)

        assert client.hear() == ""


def test_reload_of_a_running_server_takes_new_processes() -> None:
    """`reload()` from the program: other workers, of the next generation."""
    with TCPServer(netting.answer, workers=2) as server:
        before = set(server.workers)

        server.reload()

        assert wait_until(lambda: len(server.workers) == 2 and not before & set(server.workers), 20)
        with connected(server) as (client,):
            assert client.ask("generation") == "2"


def test_serve_says_why_it_cannot(tmp_path: Path) -> None:
    """One sentence, and an exit status; the module's own error with its line."""
    (tmp_path / "broken.py").write_text("def handle(:\n")
    for arguments, said in (
        (["nowhere:handle"], "there is no module 'nowhere'"),
        (["os:nowhere"], "has no such function"),
        (["os"], "module:function"),
        (["broken:handle"], "SyntaxError"),
        (["os:getcwd", "--host", "203.0.113.7"], "no such address"),
        (["os:getcwd", "--workers", "0"], "workers must be"),
    ):
        command = [sys.executable, "-m", "hardy", "serve", "--port", "0", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=tmp_path)

        assert done.returncode == 1, arguments
        assert said in done.stderr, arguments
        assert "Traceback" not in done.stderr
