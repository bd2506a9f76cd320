"""The same port for browsers: the page, and the chat over WebSocket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hardy.apps.chat.house import House
from hardy.apps.chat.session import Session
from hardy.net import Stream

__all__ = ["serve_http"]

_PAGE = Path(__file__).with_name("page.html")
_MOST_HEADERS = 100
_MOST_MESSAGE = 16_384
_TOO_BIG, _WRONG_KIND, _GOING_AWAY = 1009, 1003, 1001


async def serve_http(stream: Stream, house: House, first: bytes) -> None:
    """Answer one request, or speak WebSocket from then on.

    Args:
        stream: the connection.
        house: the chat in this worker.
        first: the request line, which has been read.
    """
    head = [first]
    while (line := await stream.readline()).rstrip(b"\r\n"):
        head.append(line)
        if len(head) > _MOST_HEADERS:
            await _answer(stream, "431 Request Header Fields Too Large", "too many headers\n")
            return
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.decode("latin-1").partition(":") for line in head[1:])
    }
    method, _, rest = first.decode("latin-1").partition(" ")
    path = urlsplit(rest.split(" ")[0]).path
    if method not in ("GET", "HEAD"):
        await _answer(stream, "405 Method Not Allowed", "this is a chat: GET / has its page\n")
    elif path == "/" and "websocket" not in headers.get("upgrade", "").lower():
        await _answer(stream, "200 OK", _PAGE.read_text(encoding="utf-8"), "text/html", only_head=method == "HEAD")
    elif path != "/chat" or "websocket" not in headers.get("upgrade", "").lower():
        await _answer(stream, "404 Not Found", "there is / (a page) and /chat (WebSocket)\n")
    elif headers.get("origin") and urlsplit(headers["origin"]).netloc != headers.get("host"):
        # Another site's page would otherwise speak in the name of whoever looks at it.
        await _answer(stream, "403 Forbidden", "this page comes from elsewhere\n")
    else:
        try:
            import wsproto  # noqa: F401
        except ImportError:
            await _answer(stream, "501 Not Implemented", "WebSocket needs wsproto: pip install 'hardy[chat]'\n")
        else:
            await _Web(stream, house).run(b"".join(head) + b"\r\n")


async def _answer(stream: Stream, status: str, text: str, kind: str = "text/plain", *, only_head: bool = False) -> None:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    await stream.write(head.encode() + (b"" if only_head else body))


class _Web:
    """One WebSocket."""

    def __init__(self, stream: Stream, house: House) -> None:
        from wsproto import ConnectionType, WSConnection

        self._stream, self._house = stream, house
        self._connection = WSConnection(ConnectionType.SERVER)
        self._session: Session | None = None
        self._closing: asyncio.Task[None] | None = None
        self._parts: list[str] = []

    async def run(self, head: bytes) -> None:
        """Until it ends."""
        from wsproto.utilities import RemoteProtocolError

        try:
            self._connection.receive_data(head)
            await self._handle_events()
            while self._closing is None and (data := await self._stream.read()):
                self._connection.receive_data(data)
                await self._handle_events()
        except RemoteProtocolError as error:
            if self._session is None:
                await _answer(self._stream, "400 Bad Request", f"no WebSocket: {error}\n")
            elif error.event_hint is not None:
                await self._stream.write(self._connection.send(error.event_hint))
        finally:
            if self._session is not None:
                self._drain.__exit__(None, None, None)
                self._session.closed()

    def _send(self, texts: list[str]) -> None:
        from wsproto.events import TextMessage

        self._stream.push(b"".join(self._connection.send(TextMessage(data=text)) for text in texts))

    def _end(self, code: int = _GOING_AWAY) -> None:
        from wsproto.events import CloseConnection
        from wsproto.utilities import LocalProtocolError

        if self._closing is None:
            try:
                self._stream.push(self._connection.send(CloseConnection(code=code)))
            except LocalProtocolError:
                pass  # it is closing already
            self._closing = asyncio.ensure_future(self._stream.close())

    async def _handle_events(self) -> None:
        from wsproto import events

        for event in self._connection.events():
            if isinstance(event, events.Request):
                self._stream.push(self._connection.send(events.AcceptConnection()))
                self._begin()
            elif isinstance(event, events.TextMessage):
                self._take(event)
                await asyncio.sleep(0)
            elif isinstance(event, events.BytesMessage):
                self._end(_WRONG_KIND)
            elif isinstance(event, (events.Ping, events.CloseConnection)):
                if self._closing is None:
                    self._stream.push(self._connection.send(event.response()))
                if isinstance(event, events.CloseConnection):
                    self._closing = self._closing or asyncio.ensure_future(self._stream.close())

    def _begin(self) -> None:
        session = self._session = Session(self._house, self._send, self._end)
        self._drain: Any = self._stream.worker.when_draining(
            lambda: session.end("this server process ends; come again, nothing is lost")
        )
        self._drain.__enter__()

    def _take(self, event: Any) -> None:
        self._parts.append(event.data)
        if sum(map(len, self._parts)) > _MOST_MESSAGE:
            self._end(_TOO_BIG)
        elif event.message_finished and self._session is not None:
            text, self._parts = "".join(self._parts), []
            self._session.do_json(text)
