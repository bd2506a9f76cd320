"""`hardy locks`: every lock that the trade names, and the ills of locks, in English and in Chinese."""

from hardy.apps.locks.command import main

__all__ = ["main"]
