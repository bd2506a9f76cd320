"""Supervisors, after Erlang/OTP: processes that are started in order, watched, restarted, and stopped in reverse."""

from hardy.errors import ChildError, RestartIntensityReached
from hardy.supervise.events import SupervisorEvent
from hardy.supervise.spec import ChildSpec
from hardy.supervise.supervisor import ChildInfo, Supervisor

__all__ = ["ChildError", "ChildInfo", "ChildSpec", "RestartIntensityReached", "Supervisor", "SupervisorEvent"]
