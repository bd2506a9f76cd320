"""What a server may be told, checked: limits, and the plan that each worker gets."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    import ssl

    from hardy.net.seats import Seats

__all__ = ["Limits", "Plan", "Tls", "check_handler", "is_async"]


@dataclass(frozen=True)
class Limits:
    """What a peer may cost.

    Attributes:
        max_connections: of all workers together; None: no limit. Further ones wait in the queue of the socket.
        max_message: bytes of one message: a line, what stands before a separator, an exact read.
        idle_timeout: seconds without a byte in either direction, after which a connection is ended; None: no limit.
        read_timeout: seconds that one read may take, however the bytes trickle in; None: no limit.
        write_timeout: seconds that a peer may leave what was written to it unread, before it is cut off.
        handshake_timeout: seconds that the TLS handshake may take.
        drain_timeout: seconds that connections have to end when their worker is to.
        backlog: connections that wait to be accepted.
    """

    max_connections: int | None = None
    max_message: int = 1 << 20
    idle_timeout: float | None = None
    read_timeout: float | None = None
    write_timeout: float = 30.0
    handshake_timeout: float = 10.0
    drain_timeout: float = 10.0
    backlog: int = 1024

    def __post_init__(self) -> None:
        for name in ("max_connections", "max_message", "backlog"):
            value = getattr(self, name)
            if value is None and name == "max_connections":
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name} must be an int, not {type(value).__name__}")
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
        for name in ("idle_timeout", "read_timeout", "write_timeout", "handshake_timeout", "drain_timeout"):
            value = getattr(self, name)
            if value is None and name in ("idle_timeout", "read_timeout"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be seconds, not {type(value).__name__}")
            if not (value > 0 or (value == 0 and name == "drain_timeout")) or math.isinf(value):
                raise ValueError(f"{name} must be a positive number of seconds, not {value}")


@dataclass(frozen=True)
class Tls:
    """The files of a certificate; each worker reads them when it starts, so that a reload takes new ones."""

    certfile: str
    keyfile: str | None = None

    def make_context(self) -> ssl.SSLContext:
        """A context for a server.

        Raises:
            ValueError: the files cannot be used; the message names them.
        """
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self.certfile, self.keyfile)
        except (OSError, ssl.SSLError) as error:
            files = f"certfile {self.certfile!r}" + (f" and keyfile {self.keyfile!r}" if self.keyfile else "")
            raise ValueError(
                f"{files} cannot be used for TLS: {error}. certfile is a PEM file with the certificate and its chain; "
                "the private key stands in it too, or in keyfile"
            ) from error
        return context


@dataclass(frozen=True)
class Plan:
    """All that a worker needs to know; it travels with each start method."""

    handler: Callable[[Any], Any] | str
    listeners: tuple[socket.socket, ...]
    limits: Limits
    seats: Seats
    tls: Tls | None
    loop: str
    name: str


def check_handler(handler: object) -> None:
    """Refuse what cannot serve.

    Raises:
        TypeError, ValueError: it is neither a function of one argument nor `module:function`.
    """
    if isinstance(handler, str):
        module, colon, name = handler.partition(":")
        if not (module and colon and name):
            raise ValueError(f"a handler is named as module:function, as in app:handle, not {handler!r:.80}")
        return
    if not callable(handler):
        raise TypeError(f"a handler is a function of a stream, or 'module:function', not {type(handler).__name__}")
    try:
        inspect.signature(handler).bind(None)
    except TypeError as error:
        raise TypeError(
            f"the handler is called with one argument, the stream, which {handler!r} refuses: {error}"
        ) from None
    except ValueError:
        pass  # a builtin that has no signature


def is_async(handler: Callable[[Any], Any]) -> bool:
    """Whether it is served in the event loop; otherwise each connection gets a thread."""
    call = handler if inspect.isroutine(handler) or inspect.ismethod(handler) else getattr(handler, "__call__", handler)  # noqa: B004
    return (
        inspect.iscoroutinefunction(inspect.unwrap(handler))
        or inspect.iscoroutinefunction(call)
        or (hasattr(handler, "func") and inspect.iscoroutinefunction(handler.func))
    )
