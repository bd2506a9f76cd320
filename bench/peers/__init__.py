"""The queues that are measured, one adapter a module."""

from __future__ import annotations

from bench.peers.base import Channel
from bench.peers.faster import FasterFifo
from bench.peers.hardy_queue import HardyQueue
from bench.peers.stdlib_pipe import StdlibPipe
from bench.peers.stdlib_queue import StdlibQueue
from bench.peers.stdlib_simple import StdlibSimpleQueue
from bench.peers.zmq_ipc import ZmqIpc

__all__ = ["PEERS", "Channel"]

PEERS: tuple[type[Channel], ...] = (
    HardyQueue,
    StdlibQueue,
    StdlibSimpleQueue,
    StdlibPipe,
    FasterFifo,
    ZmqIpc,
)
