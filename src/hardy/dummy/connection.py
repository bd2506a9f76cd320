"""Pipes between threads: the stdlib's `multiprocessing.dummy.connection`."""

from multiprocessing.dummy.connection import Client, Listener, Pipe

from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["Client", "Listener", "Pipe"]

__getattr__ = names_of_stdlib(__name__)
