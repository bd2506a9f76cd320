"""A command that serves: started, waited for, ended."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from .procs import end_tree
from .waiting import wait_until

__all__ = ["Server", "serving", "until_it_answers"]

_READY_S = 30.0
_END_S = 15.0
_ANSWER_S = 20.0


class Server:
    """A running server and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    @property
    def output(self) -> str:
        """What it wrote to standard output and standard error."""
        return self._log.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(_END_S)


@contextmanager
def serving(*command: str, ready: str, folder: Path, env: dict[str, str] | None = None) -> Iterator[Server]:
    """`python -m COMMAND`, from when it has printed a match of `ready` until the block ends.

    Args:
        *command: module and arguments.
        ready: a regular expression; what its first group matched is the `url` of the server.
        folder: working directory; its log is kept there.
        env: the whole environment; None: this process's.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=folder,
            env=env,
            text=True,
        )
        assert process.stdout is not None
        found: list[str] = []
        seen = threading.Event()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                output.write(line.encode())
                output.flush()
                if (match := re.search(ready, line)) and not found:
                    found.append(match[1])
                    seen.set()
            seen.set()

        reader = threading.Thread(target=read)
        reader.start()
        try:
            assert seen.wait(_READY_S), f"not ready after {_READY_S} s"
            assert found, f"ended before it was ready:\n{log.read_text()}"
            yield Server(process, found[0], log)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_END_S)
                except subprocess.TimeoutExpired:
                    end_tree(process.pid)
                    process.wait(_END_S)
            reader.join()
            process.stdout.close()


def until_it_answers(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer; asked again when the worker died that was asked."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        try:
            answers.append(ask())
        except httpx.TransportError:
            return False
        return True

    assert wait_until(answered, _ANSWER_S)
    return answers[0]
