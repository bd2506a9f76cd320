"""Pipes, sockets and waiting for several of them: the stdlib's `multiprocessing.connection`.

`wait` takes hardy's sentinels and the `_reader` of its queues as well.
"""

from multiprocessing.connection import Client, Connection, Listener, Pipe, answer_challenge, deliver_challenge, wait
from multiprocessing.context import AuthenticationError, BufferTooShort

from hardy._stdlib.fallback import names_of_stdlib

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "answer_challenge",
    "deliver_challenge",
    "wait",
]

__getattr__ = names_of_stdlib(__name__)
