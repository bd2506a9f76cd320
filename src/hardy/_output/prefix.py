"""The side of the processes: how one joins the printer."""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import sys
from multiprocessing import current_process
from multiprocessing.util import register_after_fork

from hardy._output.printer import SYNC, become_printer

__all__ = ["join", "start"]

# As many processes may join at one instant.
_BACKLOG = 1024
# How long the program waits at its end until what it wrote has been printed.
_SYNC_S = 5.0
# How long a process waits for the printer at its start.
_JOIN_S = 1.0
_LONGEST_HEAD = 1000

_address: bytes | None = None


def start() -> bytes:
    """In the program's first process: start the printer, and join it.

    Returns:
        The printer's address, for `join` in the processes that begin as new interpreters.
    """
    address = b"\0hardy-output-" + secrets.token_hex(8).encode()
    alive = os.pipe()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(address)
        listener.listen(_BACKLOG)
        _flush()
        child = os.fork()
        if child == 0:
            os.close(alive[1])
            become_printer(listener, alive[0])
        os.close(alive[0])
        os.waitpid(child, 0)
    # Registered first, so called last.
    atexit.register(_wait_until_printed, os.getpid())
    join(address, current_process().name)
    os.close(alive[1])
    # Also those whom the program makes by `os.fork`; a process of hardy's joins again once it has its name.
    os.register_at_fork(after_in_child=_join_again)
    register_after_fork(join, _join_again)
    return address


def join(address: bytes, name: str) -> None:
    """Write into pipes of one's own from now on.

    Args:
        address: the printer's.
        name: what this process's lines are to bear.
    """
    global _address
    _address = address
    ends: list[int] = []
    try:
        ends += os.pipe()
        ends += os.pipe()
        head = f"{os.getpid()} {' '.join(name.split())}".encode(errors="replace")[:_LONGEST_HEAD]
        with _connect() as printer:
            socket.send_fds(printer, [head], [ends[0], ends[2]])
            # Until all is printed that was written before us: else our lines could come before those.
            printer.settimeout(_JOIN_S)
            try:
                printer.recv(1)
            except TimeoutError:
                pass  # nobody reads what the printer prints; it knows us all the same
        os.dup2(ends[1], 1)
        os.dup2(ends[3], 2)
    except OSError:
        return  # it goes on writing where its parent writes
    finally:
        for fd in ends:
            os.close(fd)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # A line is printed when it is written, and not lost when the process is killed.
        reconfigure(line_buffering=True)


def _join_again(_: object = None) -> None:
    assert _address is not None
    join(_address, current_process().name)


def _connect() -> socket.socket:
    assert _address is not None
    printer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        printer.connect(_address)
    except BaseException:
        printer.close()
        raise
    return printer


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # there is none, or it is closed


def _wait_until_printed(pid: int) -> None:
    if pid != os.getpid():
        return  # a child of a fork, which has its parent's functions
    _flush()
    try:
        with _connect() as printer:
            printer.settimeout(_SYNC_S)
            printer.send(SYNC)
            printer.recv(1)
    except OSError:
        pass  # there is no printer any more
