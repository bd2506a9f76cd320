"""The command `hardy learn`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from hardy.apps.learn import contents, progress
from hardy.apps.learn.checking import difference, same
from hardy.apps.learn.pages import expected, parts
from hardy.apps.learn.running import Ran, run_scripts
from hardy.apps.learn.words import language_of_locale, say
from hardy.errors import ProcessDied

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run `hardy learn`.

    Args:
        argv: the command line after `hardy learn`; None: that of this process.

    Returns:
        The exit status: 0; 1 when a solution is not right, or a lesson's script failed; 2 when the command line names
        what there is not; 130 at Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="hardy learn",
        usage="hardy learn [NAME] [--lang zh|en] [--save DIR]\n       hardy learn check NAME FILE [--timeout S]",
        description="Lessons on processes whose scripts run. Without a name: which there are, and what you have done.",
    )
    parser.add_argument("words", nargs="*", metavar="NAME", help="a lesson's name or number; or: check NAME FILE")
    parser.add_argument("--lang", choices=contents.LANGUAGES, default=language_of_locale(), help="default: %(default)s")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the lesson's scripts and exercise there")
    parser.add_argument("--timeout", type=float, default=20.0, metavar="S", help="of check (default: %(default)s)")
    options = parser.parse_intermixed_args(argv)
    if not options.timeout > 0:
        parser.error(f"--timeout {options.timeout:g}: give seconds, more than 0")
    words, language = options.words, options.lang
    checks = words[:1] == ["check"]
    if len(words) != 3 if checks else len(words) > 1:
        parser.error("check takes a lesson and a file" if checks else f"one lesson at a time, not {' '.join(words)}")
    if not words:
        from rich.console import Console

        from hardy.apps.learn import terminal

        terminal.show_index(Console(), language, progress.load())
        return 0
    name = words[1] if checks else words[0]
    lesson = contents.find(name)
    if lesson is None:
        _tell_unknown(name, language)
        return 2
    if options.save is not None and not checks:
        return _save(lesson, options.save, language)
    try:
        return _check(lesson, Path(words[2]), language, options.timeout) if checks else _show(lesson, language)
    except ProcessDied as error:
        print(f"hardy learn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _tell_unknown(name: str, language: str) -> None:
    near = contents.nearest(name)
    names = ", ".join(near or [lesson.name for lesson in contents.LESSONS])
    print(
        say("unknown", language, name=name), say("nearest" if near else "all", language, names=names), file=sys.stderr
    )


def _show(lesson: contents.Lesson, language: str) -> int:
    from rich.console import Console

    from hardy.apps.learn import terminal

    status = terminal.show_lesson(Console(), lesson, language)
    _mark(lesson, progress.SEEN, language)
    return status


def _mark(lesson: contents.Lesson, how: str, language: str) -> None:
    try:
        progress.mark(lesson.name, how)
    except (OSError, ValueError) as error:
        print(say("cannot_save", language, why=error), file=sys.stderr)


def _save(lesson: contents.Lesson, folder: Path, language: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for script in sorted(lesson.folder.glob("*.py")):
        if script.name == "solution.py":
            continue
        name = f"my_{lesson.name.replace('-', '_')}.py" if script.name == "exercise.py" else script.name
        try:
            with open(folder / name, "x", encoding="utf-8") as file:
                file.write(lesson.script(script.name, language).read_text(encoding="utf-8"))
        except FileExistsError:
            print(say("exists", language, file=folder / name), file=sys.stderr)
        else:
            written.append(str(folder / name))
    if written:
        print(say("saved", language, files=", ".join(written)))
    return 0


def _check(lesson: contents.Lesson, file: Path, language: str, timeout_s: float) -> int:
    if not file.is_file():
        print(say("no_file", language, file=file), say("get_file", language, name=lesson.name), file=sys.stderr)
        return 2
    way = next(part.way for part in parts(lesson.page("en")) if part.kind == "exercise")
    wanted = expected(lesson, "solution.py", language)
    ran = run_scripts([file.absolute()], timeout_s=timeout_s)
    printed, right = ran.outputs[0], False
    if ran.left:
        print(say("left", language, left="; ".join(ran.left)))
    verdict = _verdict(ran, file, language, timeout_s)
    if verdict:
        print(verdict)
        if printed.strip():
            print(say("printed", language), printed.rstrip(), sep="\n")
        print(say("expected", language), wanted.rstrip(), sep="\n")
    elif any(same(expected(lesson, "solution.py", each), printed, way) for each in contents.LANGUAGES):
        right = True
        print(say("right", language, file=file))
        _mark(lesson, progress.SOLVED, language)
    else:
        print(say("wrong", language, file=file))
        print(difference(wanted, printed, way))
    return 0 if right else 1


def _verdict(ran: Ran, file: Path, language: str, timeout_s: float) -> str:
    """What is wrong with how it ran; "" when it is what it printed that counts."""
    status = ran.statuses[0]
    if ran.too_much:
        return say("endless", language, file=file)
    if status is None:
        return say("hung", language, file=file, seconds=timeout_s)
    if status < 0:
        return say("killed", language, file=file, signal=signal.Signals(-status).name)
    if status > 0:
        return say("crashed", language, file=file, status=status)
    return "" if ran.outputs[0].strip() else say("silent", language, file=file)
