"""The server that forks for us: the stdlib's `multiprocessing.forkserver`."""

from multiprocessing.forkserver import connect_to_new_process, ensure_running, get_inherited_fds

from hardy._stdlib.fallback import names_of_stdlib
from hardy.context import get_default_context

set_forkserver_preload = get_default_context().set_forkserver_preload

__all__ = ["connect_to_new_process", "ensure_running", "get_inherited_fds", "set_forkserver_preload"]

__getattr__ = names_of_stdlib(__name__)
