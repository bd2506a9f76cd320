"""The main job: count the words of the standard library while counters are killed, and lose none."""

from hardy.apps.demo.command import main

__all__ = ["main"]
