"""What hardy's programs on this machine do: who is alive, who waits for whom, what is in the queues.

Read from outside, out of the memory that the programs share anyway: there is nothing to set up, and nothing is left.
"""

from hardy.observe.snapshot import Process, Program, Shared, Snapshot, Watcher

__all__ = ["Process", "Program", "Shared", "Snapshot", "Watcher"]
