"""`TCPServer`: workers that share a socket, killed and replaced."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from helpers import netting
from helpers.netting import connected
from helpers.procfs import alive, descendants
from helpers.procs import run_script
from helpers.waiting import wait_until

from hardy import ServerFailed, TCPServer

BOTH = pytest.mark.parametrize("handler", [netting.answer, netting.answer_plainly], ids=["async", "plain"])


def pids_that_answer(server: TCPServer, count: int = 40) -> set[int]:
    with connected(server, count) as clients:
        return {int(client.ask("pid")) for client in clients}


@BOTH
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_server_answers_in_several_workers(handler: Callable[[Any], Any], loop: str) -> None:
    """Each connection is served, by one of the workers, whose processes are not ours."""
    with TCPServer(handler, workers=2, loop=loop) as server:
        pids = set(server.workers)

        assert wait_until(lambda: pids_that_answer(server) == pids, 20)
        assert len(pids) == 2
        assert os.getpid() not in pids
        with connected(server) as (client,):
            assert client.ask("héllo") == "héllo"


@BOTH
def test_killed_worker_costs_its_own_connections_only_and_is_replaced(handler: Callable[[Any], Any]) -> None:
    """Those of the other worker go on; the dead one's end; new ones are served at once, by two workers again."""
    with TCPServer(handler, workers=2) as server, connected(server, 30) as clients:
        served = {client: int(client.ask("pid")) for client in clients}
        victim = served[clients[0]]

        os.kill(victim, signal.SIGKILL)

        for client, pid in served.items():
            assert client.hear() == "" if pid == victim else client.ask("still") == "still"
        assert wait_until(lambda: len(server.workers) == 2 and victim not in server.workers, 20)
        assert victim not in pids_that_answer(server)


@BOTH
@pytest.mark.parametrize("word", ["raise", "leave"])
def test_handler_that_raises_ends_its_connection_only(tmp_path: Any, handler: Any, word: str) -> None:
    """It is logged with the peer; the worker and its other connections notice nothing."""
    log = logging.FileHandler(tmp_path / "log")
    logging.getLogger("hardy.net").addHandler(log)
    try:
        with TCPServer(handler, workers=1) as server, connected(server, 2) as (bad, good):
            pid = good.ask("pid")
            peer = "{}:{}".format(*bad.socket.getsockname())

            assert bad.ask(word) == ""
            assert good.ask("pid") == pid
            assert wait_until(lambda: f"connection with {peer} is closed" in (tmp_path / "log").read_text())
    finally:
        logging.getLogger("hardy.net").removeHandler(log)
        log.close()
    text = (tmp_path / "log").read_text()
    assert ("the handler's own mistake" if word == "raise" else "SystemExit: 7") in text


def test_plain_handler_has_a_thread_for_each_connection() -> None:
    """One that waits holds up no other."""
    with TCPServer(netting.answer_plainly, workers=1) as server, connected(server, 3) as clients:
        assert len({client.ask("thread") for client in clients}) == 3


def test_server_starts_with_each_method() -> None:
    """The sockets and the handler travel."""
    done = run_script(
        """
        from helpers import netting
        from hardy import TCPServer

        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                with TCPServer(netting.answer, workers=2, ctx=method) as server:
                    with netting.connected(server, 4) as clients:
                        print({client.ask("hello") for client in clients})
        """
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'hello'}\n" * 3


def test_workers_end_when_the_server_process_is_killed(tmp_path: Any) -> None:
    """No orphan, within a second or so."""
    from helpers.servers import serving

    (tmp_path / "app.py").write_text("async def handle(stream):\n    await stream.write(await stream.readline())\n")
    with serving(
        "hardy", "serve", "app:handle", "--port", "0", "--workers", "2", ready=r"at (\S+)", folder=tmp_path
    ) as it:
        workers = descendants(it.process.pid)

        it.end(signal.SIGKILL)

        assert len(workers) == 2
        assert wait_until(lambda: not any(alive(pid) for pid in workers), 10)


def test_server_that_cannot_start_says_why() -> None:
    """The worker's own error is in that of the server, and nothing is left."""
    for target, said in (("nowhere:handle", "there is no module 'nowhere'"), ("os:nothing", "no such function")):
        with pytest.raises(ServerFailed, match=said):
            TCPServer(target, workers=2).start()


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"handler": 5}, TypeError, "function of a stream"),
        ({"handler": "app"}, ValueError, "app:handle"),
        ({"handler": lambda: None}, TypeError, "one argument"),
        ({"workers": 0}, ValueError, "between 1 and"),
        ({"workers": 2.5}, TypeError, "must be an int"),
        ({"port": 70_000}, ValueError, "between 0 and 65535"),
        ({"port": "80"}, TypeError, "must be an int"),
        ({"host": "no.such.host.invalid"}, OSError, "no such host"),
        ({"host": "203.0.113.7"}, OSError, "no such address"),
        ({"loop": "twisted"}, ValueError, "loop must be one of"),
        ({"max_connections": 0}, ValueError, "1 or more"),
        ({"max_message": "5"}, TypeError, "must be an int"),
        ({"idle_timeout": -1}, ValueError, "positive"),
        ({"keyfile": "x"}, ValueError, "certfile"),
        ({"certfile": "/nowhere.pem"}, ValueError, "/nowhere.pem"),
        ({"systemd": True}, OSError, "LISTEN_FDS"),
        ({"no_such_limit": 1}, TypeError, "no_such_limit"),
    ],
)
def test_server_refuses_bad_arguments_at_once(arguments: dict[str, Any], error: type[Exception], said: str) -> None:
    """Before anything is started, with what is wrong."""
    with pytest.raises(error, match=said):
        TCPServer(**{"handler": netting.answer, **arguments})


def test_server_says_who_has_the_port() -> None:
    """At once: the process that listens there, and what to do."""
    with TCPServer(netting.answer, workers=1) as server:
        host, port = server.address

        with pytest.raises(OSError, match=rf"in use, process {os.getpid()} .*listens there. End it, or take another"):
            TCPServer(netting.answer, host, port)


def test_server_names_what_a_privileged_port_needs() -> None:
    """Not root: the error names the limit and the three ways out."""
    done = run_script(
        """
        import encodings.idna  # while its file may still be read
        import os
        from hardy import TCPServer

        os.setuid(65534) if os.getuid() == 0 else None
        first = int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read())
        try:
            TCPServer(print, port=first - 1 if first else 0).stop()
        except PermissionError as error:
            print(error)
        else:
            print("privileged systemd sysctl setcap", "on this machine no port is")
        """
    )

    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in ("privileged", "systemd", "sysctl", "setcap"))
