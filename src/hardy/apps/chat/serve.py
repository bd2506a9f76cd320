"""The server: what comes in on a connection is told apart by its first bytes."""

from __future__ import annotations

import asyncio
from typing import Any

from hardy.apps.chat.house import House
from hardy.apps.chat.log import Log
from hardy.apps.chat.plain import Plain
from hardy.apps.chat.session import Session
from hardy.net import MessageTooLong, Stream, TCPServer

__all__ = ["ChatHandler", "make_server"]

_HTTP = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ")
MOST_LINE = 16_384


class ChatHandler:
    """The handler of a `TCPServer`; all its workers share the log.

    Args:
        log: where all happens.
        history: how many things each room remembers.
        grace_s: how long somebody whose connection ended may come again before the others are told that they left.
    """

    def __init__(self, log: Log, history: int, grace_s: float) -> None:
        self._log, self._history, self._grace_s = log, history, grace_s

    async def __call__(self, stream: Stream) -> None:
        """Serve one connection."""
        house: House | None = stream.worker.state.get("chat")
        if house is None:
            house = stream.worker.state["chat"] = House(self._log, self._history, self._grace_s, stream.worker)
        try:
            first = await stream.readline()
            if first.startswith(_HTTP):
                from hardy.apps.chat.web import serve_http

                await serve_http(stream, house, first)
            elif first:
                await _serve_lines(stream, house, first)
        except MessageTooLong:
            await stream.write(b'{"event": "end", "text": "a line has %d bytes at most"}\n' % MOST_LINE)


async def _serve_lines(stream: Stream, house: House, first: bytes) -> None:
    plain = None if first.lstrip().startswith(b"{") else Plain()

    def send(texts: list[str]) -> None:
        stream.push(("\n".join(texts) + "\n").encode())

    closing: list[asyncio.Task[None]] = []

    def end() -> None:
        closing.append(asyncio.ensure_future(stream.close()))

    session = Session(house, send, end, plain.render if plain else None)
    with stream.worker.when_draining(lambda: session.end("this server process ends; come again, nothing is lost")):
        try:
            line = first
            while line and not closing:
                _take_line(session, plain, send, line)
                # A client that sends much at once is not the only one.
                await asyncio.sleep(0)
                line = await stream.readline()
        finally:
            session.closed()


def _take_line(session: Session, plain: Plain | None, send: Any, raw: bytes) -> None:
    try:
        line = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        text = f"that line is not UTF-8 (byte {error.start + 1}) and was left out"
        session.do_not(text)
        return
    if plain is None:
        session.do_json(line)
        return
    commands = plain.parse(line)
    if isinstance(commands, str):
        send([commands])
        return
    for command in commands:
        if not session.do(command):
            return


def make_server(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    workers: int | None = None,
    history: int = 500,
    grace: float = 5.0,
    log_bytes: int = 64 << 20,
    **options: Any,
) -> TCPServer:
    """A chat server that is not started yet.

    Args:
        host: what to listen on.
        port: 0 takes a free one.
        workers: how many processes; None: one for each processor.
        history: how many things each room remembers, for those who come late or come again.
        grace: seconds for which somebody whose connection ended keeps name and rooms.
        log_bytes: memory of the log that all workers share; what is remembered must fit in.
        **options: of `TCPServer`.

    Raises:
        TypeError, ValueError, OSError: as `TCPServer`.
    """
    if isinstance(history, bool) or not isinstance(history, int) or history < 1:
        raise ValueError(f"history must be an int of 1 or more, not {history!r}")
    if not grace >= 0:
        raise ValueError(f"grace must be 0 seconds or more, not {grace}")
    if log_bytes < 1 << 16:
        raise ValueError(f"log_bytes must be {1 << 16} at least, not {log_bytes}")
    handler = ChatHandler(Log(log_bytes // 8 * 8), history, grace)
    options.setdefault("max_message", MOST_LINE)
    return TCPServer(handler, host, port, workers=workers, name="chat", **options)
