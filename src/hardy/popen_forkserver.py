"""A started child, under the name of `multiprocessing.popen_forkserver`."""

from hardy._proc.popen_fresh import ForkserverPopen as Popen
from hardy._stdlib.fallback import names_of_stdlib

__all__ = ["Popen"]

__getattr__ = names_of_stdlib(__name__)
