"""Bad peers of a `TCPServer` cost only themselves, and limits hold over all workers."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import netting
from helpers.netting import Client, connected
from helpers.waiting import wait_until

from hardy import TCPServer

BOTH = pytest.mark.parametrize("handler", [netting.answer, netting.answer_plainly], ids=["async", "plain"])


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """What the workers of this test log."""
    path = tmp_path / "log"
    handler = logging.FileHandler(path)
    logger = logging.getLogger("hardy.net")
    logger.addHandler(handler)
    yield path
    logger.removeHandler(handler)
    handler.close()


def logs(path: Path, text: str) -> bool:
    return bool(wait_until(lambda: text in path.read_text(), 20))


@BOTH
def test_line_without_end_ends_the_connection(handler: Callable[[Any], Any], log: Path) -> None:
    """The log names the peer and the limit; whoever else is connected is served."""
    with TCPServer(handler, workers=1, max_message=1000) as server, connected(server, 2) as (bad, good):
        bad.socket.sendall(b"x" * 5000)

        assert bad.hear() == ""
        assert good.ask("x" * 998) == "x" * 998
    assert "more than 1000 bytes without the end of a message" in log.read_text()


@BOTH
@pytest.mark.parametrize("limit", ["idle_timeout", "read_timeout"])
def test_silent_peer_is_ended_when_there_is_a_time_out(handler: Callable[[Any], Any], limit: str, log: Path) -> None:
    """Half a line does not help it."""
    with TCPServer(handler, workers=1, **{limit: 0.3}) as server, connected(server) as (client,):
        assert client.ask("whole") == "whole"
        client.socket.sendall(b"half")

        assert client.hear() == ""
        assert logs(log, limit)


@BOTH
def test_trickling_peer_is_ended_when_a_message_takes_too_long(handler: Callable[[Any], Any]) -> None:
    """A byte now and then does not prolong `read_timeout`."""
    with TCPServer(handler, workers=1, read_timeout=0.5) as server, connected(server) as (client,):

        def trickle() -> bool:
            try:
                client.socket.sendall(b"x")
            except OSError:
                return True
            return bool(select.select([client.socket], [], [], 0)[0])

        assert wait_until(trickle, 20)


@BOTH
def test_peer_that_does_not_read_is_cut_off(handler: Callable[[Any], Any], log: Path) -> None:
    """The handler's `write` waits meanwhile, so that no memory grows; others are served."""
    with TCPServer(handler, workers=1, write_timeout=0.5) as server, connected(server, 2) as (bad, good):
        bad.say("flood")

        assert good.ask("hello") == "hello"
        assert logs(log, "did not read")
        assert good.ask("hello") == "hello"


@BOTH
def test_half_closed_peer_gets_its_answer(handler: Callable[[Any], Any]) -> None:
    """`echo question | nc` works."""
    with TCPServer(handler, workers=1) as server, connected(server) as (client,):
        client.socket.sendall(b"question")
        client.socket.shutdown(socket.SHUT_WR)

        assert client.hear() == "question"
        assert client.hear() == ""


@BOTH
def test_garbage_and_resets_harm_nobody(handler: Callable[[Any], Any]) -> None:
    """Bytes that are no UTF-8 come back as they are; a reset in the middle ends one connection."""
    with TCPServer(handler, workers=1) as server, connected(server, 2) as (good, bad):
        pid = good.ask("pid")
        good.socket.sendall(bytes(range(128, 256)) + b"\n")
        assert good._file.readline() == bytes(range(128, 256)) + b"\n"
        bad.say("flood")
        bad.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        bad.close()

        assert good.ask("pid") == pid


def test_connections_beyond_the_limit_wait_until_one_ends() -> None:
    """The limit is that of all workers together, and what a dead worker had is free again."""
    with TCPServer(netting.answer, workers=2, max_connections=4) as server, connected(server, 6) as clients:
        for client in clients:
            client.say("pid")

        def served() -> dict[Client, int]:
            ready = select.select([client.socket for client in clients if client not in answers], [], [], 0.01)[0]
            for client in clients:
                if client.socket in ready:
                    answers[client] = int(client.hear())
            return answers

        answers: dict[Client, int] = {}
        assert wait_until(lambda: len(served()) >= 4, 20)
        for _ in range(20):
            assert all(client.ask("more") == "more" for client in answers)
        assert len(served()) == 4
        next(iter(answers)).close()
        assert wait_until(lambda: [each for each in clients if each not in answers and _readable(each)], 20)
        os.kill(next(iter(served().values())), signal.SIGKILL)
        assert wait_until(lambda: len(served()) == 6, 20)


def _readable(client: Client) -> bool:
    return bool(select.select([client.socket], [], [], 0)[0])


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_thousand_idle_connections_hold_up_nobody(loop: str) -> None:
    """They cost a descriptor each."""
    with TCPServer(netting.answer, workers=2, loop=loop) as server, connected(server, 1000) as idle:
        with connected(server, 4) as clients:
            assert {client.ask("hello") for client in clients} == {"hello"}
        assert idle[0].ask("here") == idle[-1].ask("here") == "here"


def test_worker_without_descriptors_says_so_and_goes_on(log: Path) -> None:
    """Connections wait until there are some again."""
    with TCPServer(netting.starve_of_descriptors, workers=1) as server, connected(server) as (client,):
        assert client.ask("starve") == "starve"
        with connected(server) as (waiting,):
            waiting.say("hello")
            assert logs(log, "ulimit -n")
            assert client.ask("feed") == "feed"

            assert waiting.hear() == "hello"
