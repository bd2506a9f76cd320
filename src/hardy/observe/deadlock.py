"""What the program does about deadlocks of its locks."""

from __future__ import annotations

from functools import partial

from hardy._sync.deadlock import check_policy, set_policy
from hardy.context import tell_children

__all__ = ["deadlock"]


def deadlock(after: float = 5.0, action: str = "report") -> None:
    """Say what is done when locks are waited for in a circle; in this process, and those that it starts from now on.

    A deadlock is proved, not guessed: a circle of `RLock`s, of `Lock`s that were taken by `with`, and of such as were
    made with `deadlock="raise"`, each waited for without a time-out. The last of its threads to wait looks for it. A
    circle of two or more with a `Lock` that was taken by `acquire()`, which another may release, is reported with that
    word, and never raised.

    Args:
        after: for how many seconds a lock must have been waited for.
        action: "report" tells it on stderr, once, with every stack; "raise" raises `DeadlockError` in the last thread
            to wait; "off" does nothing. A lock's own `deadlock=` goes before it.

    Raises:
        ValueError: `after` is no positive number of seconds, or there is no such action.
    """
    check_policy(after, action)
    set_policy(after, action)
    tell_children("hardy_deadlock", partial(set_policy, after, action))
