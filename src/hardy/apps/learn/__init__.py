"""`hardy learn`: lessons on processes whose every script runs, in English and in Chinese."""

from hardy.apps.learn.command import main

__all__ = ["main"]
