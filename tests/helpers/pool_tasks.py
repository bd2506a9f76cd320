"""What the tests of pools run in workers; here so that spawn and forkserver can import it too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import hardy

from .waiting import wait_until

__all__ = ["attempt"]


def attempt(path: str) -> int:
    """How often this was called with that path, in any process: a mark for each is in the file."""
    with open(path, "ab") as file:
        file.write(b".")
        return file.tell()


def square(n: int) -> int:
    return n * n


def put_pid_of_worker_in_the_place_of_square() -> None:
    """In this worker alone."""
    globals()["square"] = pid_of_worker


def pid_of_worker(_: object = None) -> int:
    return os.getpid()


def add(a: int, b: int = 0) -> int:
    return a + b


def kill_oneself_at(bad: int, n: int) -> int:
    if n == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def die_at_three(n: int) -> int:
    return kill_oneself_at(3, n)


def die_at_first(path: str) -> str:
    """Kills its worker the first time that it is run."""
    if attempt(path) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def fail_at_first(path: str) -> int:
    count = attempt(path)
    if count == 1:
        raise ConnectionError(path)
    return count


def always_die(path: str) -> None:
    attempt(path)
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_file(path: str) -> str:
    """Returns once there is such a file."""
    assert wait_until(lambda: os.path.exists(path), 60), f"{path} did not come"
    return path


def start_and_wait(path: str) -> int:
    """Leaves its pid in `path`, then waits for a signal."""
    with open(f"{path}.part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{path}.part", path)
    signal.pause()
    return 0


def report_and_wait(path: str) -> None:
    hardy.progress(3, 10)
    wait_for_file(path)


def take_memory(count: int) -> int:
    block = bytearray(count)
    for at in range(0, count, 4096):
        block[at] = 1
    signal.pause()
    return len(block)


def hold_and_die(count: int) -> None:
    block = b"x" * count
    os.kill(os.getpid(), signal.SIGKILL if block else 0)


def hold_and_wait(count: int, path: str) -> int:
    """Holds so many bytes, and is else as `start_and_wait`."""
    block = b"x" * count
    return start_and_wait(path) + len(block)


def exit_with(code: object) -> None:
    sys.exit(code)  # type: ignore[arg-type]


def exit_at_once(code: int) -> None:
    os._exit(code)


def give_lock() -> Any:
    return {"ok": 1, "lock": threading.Lock()}


def give_lock_for_odd(n: int) -> Any:
    return threading.Lock() if n % 2 else n


class FailsWhenRebuilt:
    """Cannot be unpickled."""

    def __reduce__(self) -> Any:
        return int, ("no number",)


def give_what_fails_when_rebuilt() -> FailsWhenRebuilt:
    return FailsWhenRebuilt()


def take_anything(_: object) -> str:
    return "taken"


def stop_iterating(n: int) -> int:
    if n == 2:
        raise StopIteration
    return n


def set_state(value: int) -> None:
    hardy.worker_state.value = value


def get_state() -> int:
    hardy.worker_state.value += 1
    value: int = hardy.worker_state.value
    return value


def fail_to_begin() -> None:
    raise ValueError("no such file")


def use_a_pool(n: int) -> list[int]:
    with hardy.Pool(2) as pool:
        return pool.map(square, range(n))


def array_sum(array: Any) -> Any:
    return array * 2
