"""Processes: hardy's own, with the names of `multiprocessing.process`."""

from multiprocessing.process import active_children, current_process, parent_process

from hardy._proc.process import BaseProcess
from hardy._stdlib.fallback import names_of_stdlib
from hardy.context import Process

__all__ = ["BaseProcess", "Process", "active_children", "current_process", "parent_process"]

__getattr__ = names_of_stdlib(__name__)
