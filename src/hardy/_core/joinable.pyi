from typing import Literal

from hardy._core.channel import Channel

class JoinableRing(Channel):
    def _task_done(self) -> None: ...
    def _join(self, timeout: float | None) -> tuple[int, int] | Literal[False] | None: ...
