"""`hardy trace`: run a program, and draw what each of its processes did, and when."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType

from hardy._core import lifeline, memory, tracer
from hardy.observe.timeline.read import read
from hardy.observe.timeline.record import MEMORY_MIB, check_path
from hardy.observe.timeline.write import write

__all__ = ["main", "run_inside"]

_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the program in a process of its own, which may die of anything, and draw.

    Returns:
        The program's exit status; 128 and the signal when one ended it.
    """
    options = _parser().parse_args(argv)
    program = options.program[1:] if options.program[:1] == ["--"] else options.program
    paths = [path for path in (options.output, options.html, options.json, options.svg, options.png) if path]
    try:
        paths = [check_path(path) for path in paths or ([] if options.otel else ["trace.html"])]
    except ValueError as error:
        _parser().error(str(error))
    if options.otel and (missing := _otel_missing()):
        print(f"hardy trace: {missing}", file=sys.stderr)
        return 2
    if not program or program == ["-m"]:
        _parser().error("which program? For example: hardy trace -- script.py ARGUMENTS")
    segment = tracer.create(options.memory_mib << 20)
    pid, status = _run(segment, program)
    tracer.end(segment)
    timeline = read(segment, {pid: status})
    for path in paths:
        write(timeline, path)
        print(f"hardy trace: {len(timeline.lives)} processes, {len(timeline.flows)} messages: {path}", file=sys.stderr)
    if options.otel:
        from hardy.observe.timeline.otel import hand_over

        spans = hand_over(timeline)
        print(f"hardy trace: {len(timeline.lives)} processes, {spans} spans: OpenTelemetry", file=sys.stderr)
    if timeline.missing:
        mend = "; give more with --memory-mib" if timeline.dropped else ""
        print(f"hardy trace: {timeline.missing}{mend}", file=sys.stderr)
    return status if status >= 0 else 128 - status


def _otel_missing() -> str:
    """What hinders handing over to OpenTelemetry; said before the program has run for nothing."""
    try:
        from hardy.observe.timeline.otel import nobody_listens
    except ModuleNotFoundError as error:
        return str(error)
    if not nobody_listens():
        return ""
    return (
        "--otel: nobody has set up an OpenTelemetry SDK in this process, so all would be thrown away. Nothing was run. "
        "Let its own launcher do it: opentelemetry-instrument hardy trace --otel -- script.py "
        "(pip install opentelemetry-distro opentelemetry-exporter-otlp; OTEL_* variables say where to)"
    )


def _run(segment: memory.Segment, program: list[str]) -> tuple[int, int]:
    """The pid of the program's first process, and its exit code."""
    ours = lifeline.self_pidfd()
    inside = "import sys; from hardy.cli.trace import run_inside; sys.exit(run_inside(sys.argv[1:]))"
    handed = [str(segment.fd), segment.uid.hex(), str(ours)]
    child = subprocess.Popen([sys.executable, "-c", inside, *handed, *program], pass_fds=(segment.fd, ours))

    def forward(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    # Ctrl-C reaches the program too: it ends as it likes, and what it did is drawn.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda number, frame: None)}
    before.update({number: signal.signal(number, forward) for number in _FORWARDED})
    try:
        return child.pid, child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_inside(argv: list[str]) -> int:
    """In the program's process: record, and run it as `hardy run` does."""
    from hardy.cli import run

    fd, uid, parent = int(argv[0]), bytes.fromhex(argv[1]), int(argv[2])
    for each in (fd, parent):
        os.set_inheritable(each, False)
    # When `hardy trace` is killed, the program ends with it.
    lifeline.arm(parent, False, True)
    tracer.adopt(memory.attach(fd, uid, tracer.KIND))
    tracer.started("MainProcess", 0)
    return run.main(argv[3:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hardy trace",
        usage="hardy trace [options] -- SCRIPT [ARGUMENTS ...]\n"
        "       hardy trace [options] -- -m MODULE [ARGUMENTS ...]",
        description="Run a Python program as `hardy run` does, and draw what each of its processes did: starts, ends "
        "and kills, waits, messages, locks, tasks, spans. What a killed process had recorded is in the picture.",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="a .html, .json, .svg or .png (trace.html)")
    for form, what in (
        ("html", "a page that needs nothing else"),
        ("json", "for Perfetto and Chrome"),
        ("svg", "a picture for documents"),
        ("png", "the same, needs hardy[png]"),
    ):
        parser.add_argument(f"--{form}", metavar="FILE", help=what)
    parser.add_argument(
        "--otel", action="store_true", help="spans and metrics to OpenTelemetry at the end, needs hardy[otel]"
    )
    parser.add_argument("--memory-mib", metavar="N", type=int, default=MEMORY_MIB, help="room for events (%(default)s)")
    parser.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser
