"""How objects and descriptors travel between processes: the stdlib's `multiprocessing.reduction`.

A reducer that is registered here holds for hardy's queues, pipes and processes.
"""

from multiprocessing.reduction import (
    AbstractReducer,
    DupFd,
    ForkingPickler,
    dump,
    recv_handle,
    recvfds,
    register,
    send_handle,
    sendfds,
)

from hardy._stdlib.fallback import names_of_stdlib

__all__ = [
    "AbstractReducer",
    "DupFd",
    "ForkingPickler",
    "dump",
    "recv_handle",
    "recvfds",
    "register",
    "send_handle",
    "sendfds",
]

__getattr__ = names_of_stdlib(__name__)
