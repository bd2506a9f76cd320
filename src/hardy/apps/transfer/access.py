"""`Access`: who may read, who may write."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hardy.apps.transfer.errors import Forbidden, TransferError, Unauthorized

__all__ = ["Access"]

_READS = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Access:
    """The tokens; with none, everybody may do everything, and the server listens to this machine only.

    A token is sent as `Authorization: Bearer TOKEN`, or as the password of Basic, which browsers ask for.

    Attributes:
        read_token: who has it may read; "": there is none.
        write_token: who has it may read and write; "": there is none, and with a `read_token` nobody may write.
        local_only: whether requests must be for this machine by name: a page of another site that has its own name
            point here (DNS rebinding) is refused.
    """

    read_token: str = ""
    write_token: str = ""
    local_only: bool = False

    def check(self, method: str, headers: Headers) -> None:
        """Let the request pass.

        Raises:
            Unauthorized: no token came, or an unknown one.
            Forbidden: the token does not allow it.
        """
        if self.local_only and _host(headers.get("Host", "")) not in ("localhost", "127.0.0.1", "[::1]", ""):
            raise Forbidden(
                "this server has no token, and answers only to requests for localhost. Start it with --token to open it"
            )
        if not self.read_token and not self.write_token:
            return
        token = _token(headers.get("Authorization", ""))
        # Both are compared, always: how long it takes tells nothing.
        writes = _same(token, self.write_token)
        reads = _same(token, self.read_token) or writes
        if not reads:
            error = Unauthorized(
                "this server needs a token: `Authorization: Bearer TOKEN`, or the token as the password of Basic"
                if not token
                else "this server does not know that token"
            )
            error.headers = {"WWW-Authenticate": 'Basic realm="hardy transfer", charset="UTF-8"'}
            raise error
        if not writes and method not in _READS:
            raise Forbidden("this token may read, and not write")

    def guard(self, app: ASGIApp) -> ASGIApp:
        """The application, for those who may use it."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers = Headers(scope=scope)
                method = headers.get("X-HTTP-Method-Override", scope["method"]).upper()
                try:
                    self.check(method if scope["method"] in _READS else scope["method"], headers)
                except TransferError as error:
                    answer = {"error": type(error).__name__, "detail": str(error)}
                    await JSONResponse(answer, error.status, dict(error.headers))(scope, receive, send)
                    return
            await app(scope, receive, send)

        return guarded


def _host(header: str) -> str:
    return header.lower() if header.endswith("]") else header.lower().rpartition(":")[0] or header.lower()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode()) and bool(wanted)


def _token(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""
