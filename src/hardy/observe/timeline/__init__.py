"""What the processes of a program did, and when: recorded, read, and drawn."""

from hardy.observe.timeline.record import span, trace

__all__ = ["span", "trace"]
