"""`hardy chat`: over real sockets, with bots, in a real browser; and its workers are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import browser
from helpers.netting import Client, connected, one_at_each
from helpers.procfs import descendants
from helpers.servers import Server, serving
from helpers.waiting import wait_until

from hardy import TCPServer
from hardy.apps import chat

READY = r"chatting at http://(\S+)/ "


@pytest.fixture
def server() -> Iterator[TCPServer]:
    with chat.make_server(workers=2, history=100, grace=0.5) as running:
        yield running


class Talker(Client):
    """A client that speaks JSON."""

    def do(self, what: str, **fields: Any) -> None:
        """Send a command."""
        self.say(json.dumps({"do": what, **fields}))

    def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next event of that kind with those fields; others are passed over."""
        while True:
            line = self.hear()
            assert line, f"the connection ended before {kind}"
            event: dict[str, Any] = json.loads(line)
            if event["event"] == kind and fields.items() <= event.items():
                return event

    def greet(self) -> None:
        """Return once a worker has answered."""
        self.do("ping")
        self.until("pong")

    def enter(self, name: str, room: str = "lobby", **fields: Any) -> dict[str, Any]:
        """Come in, and into a room; the event of the latter."""
        self.do("enter", name=name, token=f"token-{name}")
        self.until("entered")
        self.do("join", room=room, **fields)
        return self.until("room")


@pytest.fixture
def talkers(server: TCPServer) -> Iterator[Any]:
    """Makes clients of the server."""
    made: list[Talker] = []

    def make() -> Talker:
        made.append(Talker(server.address))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_line_protocol_is_for_people(server: TCPServer) -> None:
    """What one types into `nc`, and what comes; the error says what to type."""
    with connected(server, 2) as (ada, bob):
        assert "say who you are first: /name" in ada.ask("hello")
        assert ada.ask("/name ada").startswith("* you are ada")
        assert ada.hear() == "* you are in lobby, with ada"
        assert ada.hear().endswith("* ada is here")
        assert "the name ada is taken" in bob.ask("/name ada")
        bob.say("/name bob")
        assert ada.hear().endswith("* bob is here")
        ada.say("héllo")
        while "ada: héllo" not in (line := bob.hear()):
            assert line
        assert ada.hear().endswith("] ada: héllo")
        bob.say("/msg ada psst")
        assert ada.hear().endswith("bob to ada alone: psst")
        assert ada.ask("/who") == "* lobby: ada, bob"
        assert ada.ask("/rooms") == "* lobby (2)"
        assert "there is no /dance" in ada.ask("/dance")
        for _ in range(5):
            ada.hear()
        bob.say("/quit")
        assert ada.hear().endswith("* bob left")


def test_chat_says_what_is_wrong(talkers: Any) -> None:
    """Each mistake is an event with a code, and the connection goes on."""
    ada = talkers()
    ada.enter("ada")
    for sent, code in (
        ('{"do": "say", "room": "nowhere", "text": "x"}', "not_inside"),
        ('{"do": "say", "room": "lobby", "text": "  "}', "bad_text"),
        ('{"do": "say", "room": "lobby", "text": "%s"}' % ("x" * 2001), "too_long"),
        ('{"do": "say", "room": "lobby", "text": "x", "id": -1}', "bad_id"),
        ('{"do": "tell", "to": "nobody", "text": "x"}', "nobody"),
        ('{"do": "join", "room": "two words"}', "bad_room"),
        ('{"do": "join", "room": ["lobby"]}', "bad_room"),
        ('{"do": "join", "room": "lobby", "since": "x"}', "bad_number"),
        ('{"do": "leave", "room": {}}', "not_inside"),
        ('{"do": "dance"}', "bad_command"),
        ("[]", "bad_command"),
        ("{", "bad_command"),
        ("[" * 10_000, "bad_command"),
        ('{"do": "enter", "name": "bob", "token": "other"}', "has_name"),
    ):
        ada.say(sent)
        assert ada.until("error")["code"] == code, sent
    ada.socket.sendall(b"\xff\xfe\n")
    assert "UTF-8" in ada.until("error")["text"]
    stranger = talkers()
    stranger.do("enter", name="ada")
    assert stranger.until("error")["code"] == "name_taken"
    stranger.do("say", room="lobby", text="x")
    assert stranger.until("error")["code"] == "no_name"
    ada.socket.sendall(b"x" * 100_000)
    assert ada.until("end")


def test_message_that_is_sent_again_is_said_once(talkers: Any) -> None:
    """By its number; the one who sent it is told."""
    ada, bob = talkers(), talkers()
    ada.enter("ada")
    bob.enter("bob")

    for number in (1, 2, 2, 1, 3):
        ada.do("say", room="lobby", text=f"m{number}", id=number)

    assert [bob.until("message")["text"] for _ in range(3)] == ["m1", "m2", "m3"]
    assert [ada.until("message")["id"] for _ in range(2)] == [1, 2]
    assert ada.until("duplicate")["id"] == 2


def test_whoever_comes_again_gets_what_was_missed_and_no_more(talkers: Any) -> None:
    """With the number of the last thing seen; beyond the history there is a gap, which is told."""
    ada, bob = talkers(), talkers()
    ada.enter("ada")
    bob.enter("bob")
    ada.do("say", room="lobby", text="seen", id=1)
    last = bob.until("message")["number"]
    bob.close()
    for number in range(2, 12):
        ada.do("say", room="lobby", text=f"m{number}", id=number)
    ada.until("message", id=11)

    again = talkers()
    again.enter("bob", since=last)
    assert [again.until("message")["number"] for _ in range(10)] == list(range(last + 1, last + 11))
    again.do("ping")
    assert json.loads(again.hear())["event"] == "pong"
    again.close()
    for number in range(12, 132):
        ada.do("say", room="lobby", text=f"m{number}", id=number)
    ada.until("message", id=131)
    late = talkers()
    late.enter("bob", since=last)
    assert late.until("gap")["missed"] == 30
    assert late.until("message")["text"] == "m32"


def test_name_is_free_again_when_its_worker_is_killed(server: TCPServer) -> None:
    """After the time in which its owner may come again; the others are told that they left."""
    with one_at_each(server, Talker) as talkers:
        (victim, ada), (_, bob) = talkers.items()
        ada.enter("ada")
        bob.enter("bob")

        os.kill(victim, signal.SIGKILL)

        assert bob.until("leave")["from"] == "ada"
        bob.do("who")
        assert bob.until("who")["members"] == ["bob"]


def test_log_goes_round_and_new_workers_know_who_is_there() -> None:
    """The memory of the log is written over many times; names, rooms and numbers stay."""
    with chat.make_server(workers=2, history=5, log_bytes=1 << 16) as server, one_at_each(server, Talker) as talkers:
        (victim, ada), (_, bob) = talkers.items()
        ada.enter("ada", room="first")
        bob.enter("bob")
        for number in range(1, 801):
            bob.do("say", room="lobby", text=f"{number} " + "x" * 200, id=number)
        bob.until("message", id=800)
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: len(server.workers) == 2 and victim not in server.workers, 20)

        with one_at_each(server, Talker) as fresh:
            for number, each in enumerate(fresh.values()):
                each.do("who", room="first")
                assert each.until("who")["members"] == ["ada"]
                each.enter(f"carl{number}", since=0)
                assert each.until("gap")["missed"] >= 796


def test_worker_that_was_stopped_for_long_catches_up() -> None:
    """What was written over meanwhile is a gap, which its clients are told of; the rest comes in order."""
    with chat.make_server(workers=2, history=5, log_bytes=1 << 16) as server, one_at_each(server, Talker) as talkers:
        (stopped, ada), (_, bob) = talkers.items()
        ada.enter("ada")
        bob.enter("bob")
        assert ada.until("join")["from"] == "ada"
        assert ada.until("join")["from"] == "bob"

        os.kill(stopped, signal.SIGSTOP)
        try:
            for number in range(1, 801):
                bob.do("say", room="lobby", text=f"{number} " + "x" * 200, id=number)
            bob.until("message", id=800)
        finally:
            os.kill(stopped, signal.SIGCONT)

        missed = ada.until("gap")["missed"]
        numbers = [ada.until("message")["number"] for _ in range(5)]
        assert numbers == list(range(798, 803))
        assert missed == 795


def test_nothing_is_lost_twice_or_out_of_order_while_workers_are_killed(server: TCPServer) -> None:
    """Bots talk while all workers are killed again and again; every message comes to all, once, in one order."""

    async def scene() -> tuple[chat.Report, int]:
        host, port = server.address
        talking = asyncio.ensure_future(chat.run_bots(host, port, n=12, rate=20, seconds=3, rooms=2))
        kills = 0
        while not talking.done():
            await asyncio.wait({talking}, timeout=0.5)
            if not talking.done() and len(workers := server.workers) == 2:
                for pid in workers:
                    os.kill(pid, signal.SIGKILL)
                kills += 1
        return talking.result(), kills

    report, kills = asyncio.run(scene())

    assert kills >= 1
    assert report.sent >= 12 * 20
    assert (report.lost, report.twice, report.out_of_order, report.orders) == (0, 0, 0, 1), str(report)


def test_nothing_is_lost_when_the_server_reloads(server: TCPServer) -> None:
    """The old workers send their clients to the new ones."""

    async def scene() -> chat.Report:
        host, port = server.address
        talking = asyncio.ensure_future(chat.run_bots(host, port, n=6, rate=20, seconds=2))
        await asyncio.wait({talking}, timeout=0.7)
        server.reload()
        return await talking

    report = asyncio.run(scene())

    assert report.is_right, str(report)
    assert report.reconnects >= 6


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Server]:
    """`hardy chat serve`, as one starts it."""
    with serving("hardy", "chat", "serve", "--port", "0", "--workers", "2", ready=READY, folder=tmp_path) as running:
        yield running


def run_chat(server: Server, what: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "hardy", "chat", what, "--port", port, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, **options)


def test_commands_talk_to_each_other(command: Server) -> None:
    """`join` says what it is given and shows what comes; `bots` report; the server ends at once when told."""
    done = run_chat(command, "join", "--name", "ada", input="hello\n/who\n")
    assert done.returncode == 0, done.stderr
    assert "* you are in lobby, with ada" in done.stdout
    assert "ada: hello" in done.stdout

    bots = run_chat(command, "bots", "--n", "5", "--rate", "20", "--seconds", "1")
    assert bots.returncode == 0, bots.stdout + bots.stderr
    assert "lost                   0" in bots.stdout
    assert "99%" in bots.stdout
    assert run_chat(command, "bots", "--n", "0").returncode == 2
    assert command.end() == 0
    assert "Start a server" in run_chat(command, "join", input="").stderr


def test_web_answers_what_it_has(command: Server) -> None:
    """The page, and an error for all else; another site's page is not let in."""
    with urllib.request.urlopen(f"http://{command.url}/", timeout=20) as answer:
        assert "hardy chat" in answer.read().decode()
    for path, headers, status in (
        ("/none", {}, 404),
        ("/chat", {}, 404),
        ("/chat", {"Upgrade": "websocket", "Connection": "Upgrade", "Origin": "http://evil.example"}, 403),
        ("/chat", {"Upgrade": "websocket", "Connection": "Upgrade"}, 400),
    ):
        request = urllib.request.Request(f"http://{command.url}{path}", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)
        assert caught.value.code == status
        caught.value.close()


def test_page_talks_in_two_tabs_of_a_browser(command: Server) -> None:
    """Both see all in one order, also after the workers of both were killed; nothing is shown twice."""
    with browser() as opened:
        tabs: dict[str, str] = {}
        for name in ("ada", "bob"):
            if tabs:
                opened.switch_to.new_window("tab")
            opened.get(f"http://{command.url}/")
            tabs[name] = opened.current_window_handle
            type_in(opened, name)
            assert wait_until(lambda name=name: f"you are {name}" in text_of(opened, "state"), 20)

        def speak(name: str, text: str) -> None:
            opened.switch_to.window(tabs[name])
            type_in(opened, text)

        def messages(name: str) -> list[str]:
            opened.switch_to.window(tabs[name])
            return [each.text for each in opened.find_elements("css selector", "#log .message")]

        def both_have(count: int) -> bool:
            return bool(wait_until(lambda: all(len(messages(name)) == count for name in tabs), 20))

        speak("ada", "hello")
        speak("bob", "<b>hi</b>")
        assert both_have(2)
        assert messages("ada") == messages("bob") == ["ada hello", "bob <b>hi</b>"]
        for pid in descendants(command.process.pid):
            os.kill(pid, signal.SIGKILL)
        speak("ada", "are you there?")
        assert both_have(3)
        speak("bob", "/msg ada psst")
        opened.switch_to.window(tabs["ada"])
        assert wait_until(lambda: "psst" in text_of(opened, "log"), 20)
        speak("bob", "yes")
        assert both_have(4)
        assert messages("ada") == messages("bob")
        opened.switch_to.window(tabs["ada"])
        opened.refresh()
        assert wait_until(lambda: "you are ada" in text_of(opened, "state"), 20)
        assert wait_until(lambda: len(messages("ada")) == 4, 20)
        assert text_of(opened, "members").split() == ["ada", "bob"]


def type_in(opened: Any, text: str) -> None:
    opened.find_element("id", "text").send_keys(text + "\n")


def text_of(opened: Any, id: str) -> str:
    return str(opened.find_element("id", id).text)
