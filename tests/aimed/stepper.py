"""Kill a process after any one instruction that it makes inside hardy's native code.

A victim is forked from the calling process and stops right before the operation. One victim is stepped through
it (ptrace), which gives the trace: every instruction in hardy's extensions, and in the C library called from
there. For each place in the trace a fresh victim then runs, at full speed, into a hardware breakpoint at that
instruction, and is killed before it executes it: that is, after the one before. Stepping each victim all the
way would cost the square of the trace's length.

Source: ptrace(2); Intel SDM vol. 3, 18.2 (debug registers).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_TRACEME, _PEEKUSER, _POKEUSER, _CONT, _SINGLESTEP, _SYSCALL = 0, 3, 6, 7, 9, 24
# Offsets in struct user_regs_struct.
_RAX, _RSI, _ORIG_RAX, _RIP = 10 * 8, 13 * 8, 15 * 8, 16 * 8
_DEBUG_REGISTER = 848  # offsetof(struct user, u_debugreg)
# Of debug register 7: breakpoint 0 is on, for this process, at one executed instruction.
_EXECUTE_0 = 1
# Of an instruction in a loop, how many first passings are gone through, besides the last.
LOOP_PASSES = 3
# The system calls in which hardy sleeps: futex with FUTEX_WAIT_BITSET, not private; futex_waitv.
FUTEX, _WAIT_BITSET, _FUTEX_WAITV = 202, 9, 449
_AT_REST, _DONE = signal.SIGSTOP, signal.SIGSTOP

_libc = ctypes.CDLL(None, use_errno=True)
_ptrace = _libc.ptrace
_ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_ptrace.restype = ctypes.c_long


class CannotStep(Exception):
    """This machine forbids what the driver needs; the text says what."""


@dataclass(frozen=True)
class Place:
    """One instruction of a trace.

    Attributes:
        address: where it lies; the same in every victim, for all are forked from one process.
        hit: how often the victim has come by that address before.
        name: file and offset, for people.
        ours: whether it is hardy's, and not the C library's.
    """

    address: int
    hit: int
    name: str
    ours: bool = True


@dataclass
class Code:
    """The executable mappings of this process that matter, in order of address."""

    starts: list[int] = field(default_factory=list)
    spans: list[tuple[int, int, str, bool]] = field(default_factory=list)  # start, end, file, is hardy's

    @classmethod
    def of_this_process(cls) -> Code:
        code = cls()
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, mode, offset, _device, _inode, *path = line.split(maxsplit=5)
            if "x" not in mode or not path:
                continue
            start, end = (int(number, 16) for number in span.split("-"))
            file = Path(path[0]).name
            ours = "/hardy/_core/" in path[0]
            if ours or file.startswith(("libc.so", "libc-", "libpthread", "ld-musl", "[vdso]")):
                code.starts.append(start)
                code.spans.append((start - int(offset, 16), end, file.partition(".")[0], ours))
        return code

    def at(self, address: int) -> tuple[str, bool] | None:
        """Name of the place and whether it is hardy's; None for the interpreter and all else."""
        index = bisect_right(self.starts, address) - 1
        if index < 0 or address >= self.spans[index][1]:
            return None
        start, _end, file, ours = self.spans[index]
        return f"{file}+{address - start:#x}", ours


class Victim:
    """A forked process that stands right before `strike()`, traced by this one."""

    def __init__(
        self, warm: Callable[[], object], strike: Callable[[], object], arrange: Callable[[], object] = os.getpid
    ) -> None:
        self.pid = os.fork()
        if not self.pid:
            _be_victim(warm, strike)
        self.done = False
        arrange()
        if self._wait() != _AT_REST:
            raise CannotStep("a process may not be traced here (ptrace is forbidden)")

    def _wait(self) -> int:
        """The signal at which it stopped; 0 when it has ended."""
        _pid, status = os.waitpid(self.pid, 0)
        return os.WSTOPSIG(status) if os.WIFSTOPPED(status) else 0

    def _go(self, request: int) -> bool:
        """Whether it goes on and stops at a trap; False when it has come to the end of the operation."""
        if _ptrace(request, self.pid, None, None) != 0:
            raise CannotStep(f"ptrace: {os.strerror(ctypes.get_errno())}")
        stopped = self._wait()
        if stopped == signal.SIGTRAP:
            return True
        assert stopped == _DONE, f"the victim {self.pid} did not come to the end: signal {stopped}"
        self.done = True
        return False

    def step(self) -> int:
        """Execute one instruction; the address of the next, 0 at the end of the operation."""
        return _ptrace(_PEEKUSER, self.pid, _RIP, None) if self._go(_SINGLESTEP) else 0

    def run_until(self, happens: Callable[[], bool]) -> Place:
        """Step until something is so; the instruction that made it so."""
        address = last = 0
        while not happens():
            last, address = address, self.step()
            assert address, "it came to the end, and it never was so"
        return Place(last, 0, "")

    def run_to(self, place: Place) -> bool:
        """Whether it comes to that place; False when the operation was over first."""
        for register, value in ((0, place.address), (7, _EXECUTE_0)):
            if _ptrace(_POKEUSER, self.pid, _DEBUG_REGISTER + 8 * register, value) != 0:
                raise CannotStep(f"no hardware breakpoints here: {os.strerror(ctypes.get_errno())}")
        return all(self._go(_CONT) for _ in range(place.hit + 1))

    def system_calls(self) -> list[tuple[int, int]]:
        """Run to the end of the operation; each system call on the way: its number and its second argument."""
        calls = []
        while self._go(_SYSCALL):
            calls.append((_ptrace(_PEEKUSER, self.pid, _ORIG_RAX, None), _ptrace(_PEEKUSER, self.pid, _RSI, None)))
            if not self._go(_SYSCALL):
                break
        # The last two are os.getpid() and os.kill(), by which the victim says that it is at the end.
        return calls[:-2]

    def run_to_sleep(self) -> bool:
        """Whether it comes to where it enters the kernel in order to sleep; False: it came to the end first."""
        while self._go(_SYSCALL):
            number = _ptrace(_PEEKUSER, self.pid, _ORIG_RAX, None)
            operation = _ptrace(_PEEKUSER, self.pid, _RSI, None)
            if number == _FUTEX_WAITV or (number == FUTEX and operation == _WAIT_BITSET):
                return True
            if not self._go(_SYSCALL):
                break
        return False

    def sleeps(self) -> bool:
        """From there: whether it is put to sleep, and not told at once that there was news."""
        self._go(_SYSCALL)
        result = _ptrace(_PEEKUSER, self.pid, _RAX, None)
        if result in (-errno.ENOSYS, -errno.EPERM):  # no futex_waitv here: it tries the older call
            return self.run_to_sleep() and self.sleeps()
        return bool(result != -errno.EAGAIN)

    def run_through(self) -> None:
        """Run to the end of the operation."""
        while self._go(_CONT):
            pass

    def kill(self) -> None:
        """SIGKILL, and reap it."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _be_victim(warm: Callable[[], object], strike: Callable[[], object]) -> None:
    status = 70
    try:
        if _ptrace(_TRACEME, 0, None, None) != 0:
            os._exit(71)
        warm()
        os.kill(os.getpid(), _AT_REST)
        strike()
        os.kill(os.getpid(), _DONE)
        status = 0
    finally:
        os._exit(status)


def why_not() -> str:
    """Why this machine cannot be used, or ""."""
    if platform.machine() != "x86_64":
        # On aarch64 a trap between load-exclusive and store-exclusive makes the store fail, each time.
        return f"aimed kills are written for x86_64, not for {platform.machine()}"
    try:
        victim = Victim(os.getpid, os.getpid)
    except CannotStep as error:
        return str(error)
    try:
        victim.run_to(Place(0, 0, ""))
    except CannotStep as error:
        return str(error)
    finally:
        victim.kill()
    return ""


def record(
    warm: Callable[[], object], strike: Callable[[], object], arrange: Callable[[], object] = os.getpid
) -> list[Place]:
    """Every instruction that `strike()` makes in hardy's code, or in the C library on its behalf, in order.

    An instruction in a loop is there for its first passings and for its last one. (A search through the table of
    users passes some 770 times, a copy even more often, and nothing differs but the row.) The repetitions of one
    string instruction count as one.
    """
    code = Code.of_this_process()
    victim = Victim(warm, strike, arrange)
    places: list[Place] = []
    hits: Counter[int] = Counter()
    for_hardy, last = False, 0
    try:
        while address := victim.step():
            if address == last:
                continue
            last = address
            found = code.at(address)
            if found is None:
                for_hardy = False
                continue
            name, ours = found
            for_hardy = for_hardy or ours
            if for_hardy:
                places.append(Place(address, hits[address], name, ours))
            hits[address] += 1
    finally:
        victim.kill()
    last_hit = {place.address: place.hit for place in places}
    return [place for place in places if place.hit < LOOP_PASSES or place.hit == last_hit[place.address]]
