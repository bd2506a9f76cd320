"""The client's side of a manager: a call to a server that has ended says so, and how it ended.

The stdlib's proxies find their client in `multiprocessing.managers.listener_client`. The one put there behaves like
the stdlib's, except to the addresses of hardy's managers.
"""

from __future__ import annotations

import os
import re
import select
import socket
import struct
import weakref
from multiprocessing import managers as _managers
from multiprocessing.connection import Connection
from typing import Any

from hardy.errors import ManagerDied, ProcessDied, ending_text

__all__ = ["Token", "make_address", "started"]

# The kernel gives back addresses without a path as bytes.
_ADDRESS = re.compile(rb"\0hardy-(\w+)-[0-9a-f]{16}\Z")
# The kernel closes a dying process's sockets before it says that the process has ended.
_END_S = 0.5
_LOST = (EOFError, ConnectionError)

_servers: weakref.WeakValueDictionary[bytes, Any] = weakref.WeakValueDictionary()
_stdlib_client: Any = _managers.listener_client["pickle"][1]  # type: ignore[attr-defined]


class Token(_managers.Token):
    """Where an object of a server is. Who unpickles one has the client that knows of hardy's managers."""

    __slots__ = ()


def make_address(kind: str) -> bytes:
    """An address for a new server, which no path leads to.

    Args:
        kind: the manager's class, for messages.
    """
    return b"\0hardy-%b-%b" % (kind.encode(), os.urandom(8).hex().encode())


def started(address: bytes, process: Any) -> None:
    """Remember the server that this process has started, to tell how it ended."""
    _servers[address] = process


class _ToServer(Connection):
    """A connection to the server of a manager of hardy's."""

    def __init__(self, handle: int, address: bytes) -> None:
        super().__init__(handle)
        self._address = address
        with socket.socket(fileno=os.dup(handle)) as sock:
            self._pid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def send(self, obj: Any) -> None:
        try:
            super().send(obj)
        except _LOST as error:
            raise _explain(error, self._address, self._pid) from error

    def recv(self) -> Any:
        try:
            return super().recv()
        except _LOST as error:
            raise _explain(error, self._address, self._pid) from error


def _connect(address: Any, family: str | None = None, authkey: bytes | None = None) -> Any:
    ours = isinstance(address, bytes) and _ADDRESS.match(address)
    try:
        connection = _stdlib_client(address, family=family, authkey=authkey)
    except _LOST as error:
        if not ours:
            raise
        raise _explain(error, address, None) from error
    if not ours:
        return connection
    handle, connection._handle = connection._handle, None
    return _ToServer(handle, address)


def _explain(error: Exception, address: bytes, pid: int | None) -> Exception:
    """The error to raise: `error` itself when the server lives.

    Args:
        error: what the connection raised.
        address: of the server.
        pid: of the server; None: there was no connection to it.
    """
    refused = isinstance(error, ConnectionRefusedError)
    process = _servers.get(address)
    if process is not None and process._parent_pid == os.getpid():
        process.join(_END_S)
        if process.exitcode is None:
            return error
        # A context of the stdlib makes processes that cannot tell.
        died = getattr(process, "exception", lambda: None)()
        out_of_memory = isinstance(died, ProcessDied) and died.out_of_memory
        return _died(process.name, process.pid, process.exitcode, out_of_memory, refused)
    if refused if pid is None else _has_ended(pid):
        match = _ADDRESS.match(address)
        assert match is not None
        return _died(match[1].decode(), pid, None, False, refused)
    return error


def _has_ended(pid: int) -> bool:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(_END_S * 1000))
    finally:
        os.close(fd)


def _died(name: str, pid: int | None, exitcode: int | None, out_of_memory: bool, refused: bool) -> ManagerDied:
    how = ", out of memory" if out_of_memory else f", {ending_text(exitcode)}" if exitcode is not None else ""
    who = f"{name!r} (pid {pid}{how})" if pid is not None else f"a {name}"
    why = "it was shut down" if exitcode == 0 else "what it held is lost"
    done = "This call did nothing" if refused else "Whether it has done this call first is not known"
    return ManagerDied(
        f"the server of the manager {who} has ended: {why}. {done}; start another manager, and make its objects anew",
        name=name,
        pid=pid,
        signal=-exitcode if exitcode is not None and exitcode < 0 else None,
        exitcode=exitcode,
        out_of_memory=out_of_memory,
    )


_managers.listener_client["pickle"] = (_managers.listener_client["pickle"][0], _connect)  # type: ignore[attr-defined]
