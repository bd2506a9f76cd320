"""Servers of many processes: workers that share one listening socket, with asyncio in each."""

from hardy.errors import MessageTooLong, ServerFailed
from hardy.net.blocking import BlockingStream
from hardy.net.options import Limits
from hardy.net.server import TCPServer
from hardy.net.stream import Stream
from hardy.net.worker import Worker

__all__ = ["BlockingStream", "Limits", "MessageTooLong", "ServerFailed", "Stream", "TCPServer", "Worker"]
