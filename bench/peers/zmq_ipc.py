"""pyzmq: PUSH and PULL over an ipc socket, with `send_pyobj` and `recv_pyobj`."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Any

import zmq

from bench.peers.base import Channel

_numbers = count()


class ZmqIpc(Channel):
    name = "pyzmq ipc"
    serves_many = False

    def __init__(self, bound: int, object_bytes: int) -> None:
        # An abstract socket: nothing is left in the file system. Sockets do not survive a fork, so each
        # side makes its own.
        self._address = f"ipc://@hardy-bench-{os.getpid()}-{next(_numbers)}"
        # Both ends have a queue; 0 is no bound.
        self._mark = max(1, bound // 2) if bound else 0
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None

    def _open(self, kind: int) -> zmq.Socket[bytes]:
        if self._context is None:
            self._context = zmq.Context()
        socket = self._context.socket(kind)
        socket.set_hwm(self._mark)
        return socket

    def sender(self) -> Callable[[Any], object]:
        socket = self._open(zmq.PUSH)
        socket.connect(self._address)
        return socket.send_pyobj

    def receiver(self) -> Callable[[], Any]:
        socket = self._open(zmq.PULL)
        socket.bind(self._address)
        return socket.recv_pyobj

    def finish(self) -> None:
        # Waits until what was sent has left.
        if self._context is not None:
            self._context.destroy(linger=-1)
