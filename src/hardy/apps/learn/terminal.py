"""Lessons in the terminal: the index with what is done, and a page whose scripts run while it is read."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.table import Table

from hardy.apps.learn import progress
from hardy.apps.learn.checking import OUTLINE
from hardy.apps.learn.console import missing
from hardy.apps.learn.contents import LESSONS, Lesson
from hardy.apps.learn.pages import Part, expected, parts, prose
from hardy.apps.learn.running import run_scripts
from hardy.apps.learn.words import say

__all__ = ["show_index", "show_lesson"]

# None of ours takes half as long.
_TIMEOUT_S = 60.0


def show_index(console: Console, language: str, state: progress.State) -> None:
    """Print the lessons, and which of them are read and solved."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column(say("lesson", language), no_wrap=True)
    table.add_column(say("title", language))
    table.add_column("")
    for lesson in LESSONS:
        how = state.get(lesson.name, "")
        mark = f"✓ {say(how, language)}" if how == progress.SOLVED else say(how, language) if how else ""
        table.add_row(str(lesson.number), f"[bold]{lesson.name}[/bold]", lesson.title(language), mark)
    console.print(table)
    console.print()
    for hint in ("hint_read", "hint_save", "hint_check"):
        console.print(say(hint, language), soft_wrap=True, highlight=False, markup=False)


def show_lesson(console: Console, lesson: Lesson, language: str) -> int:
    """Print the page, running its scripts where they stand; returns 1 when one of them failed."""
    status = 0
    answers: list[str] = []
    console.print(Markdown(f"# {lesson.number}. {lesson.title(language)}"))
    for part in parts(lesson.page(language)):
        if part.kind == "run":
            status |= _show_run(console, lesson, part, language)
        elif part.kind == "show":
            console.rule(part.files[0])
            _show_code(console, lesson, part.files[0], language)
        elif part.kind == "exercise":
            _show_exercise(console, lesson, language)
        elif part.kind == "ask":
            answers.append("")
            console.print(Markdown(f"**{say('question', language)} {len(answers)}.** {prose(part.text, language)}"))
        elif part.kind == "answer":
            answers[-1] += prose(part.text, language)
        elif part.kind == "text":
            console.print(Markdown(prose(part.text, language).replace("{docs}", "docs")))
        console.print()
    if answers:
        console.rule(say("answers", language))
        for number, answer in enumerate(answers, 1):
            console.print(Markdown(f"**{number}.** {answer}"))
    return status


def _show_code(console: Console, lesson: Lesson, name: str, language: str) -> None:
    source = lesson.script(name, language).read_text(encoding="utf-8")
    console.print(Syntax(source, "python", theme="ansi_dark", background_color="default"))


def _show_run(console: Console, lesson: Lesson, part: Part, language: str) -> int:
    if part.files[0].endswith(".console"):
        _show_terminal(console, lesson, part.files[0], language)
        return 0
    for name in part.files:
        console.rule(name)
        _show_code(console, lesson, name, language)
    console.rule(f"python {' & '.join(part.files)}", style="green")
    ran = run_scripts([lesson.script(name, language) for name in part.files], timeout_s=_TIMEOUT_S, echo=True)
    # Where an outline is compared, the lesson is about how it fails.
    return int(part.way != OUTLINE and any(ran.statuses))


def _show_terminal(console: Console, lesson: Lesson, name: str, language: str) -> None:
    session = lesson.script(name, language)
    console.rule(say("terminal", language), style="green")
    if package := missing(session.read_text(encoding="utf-8")):
        console.print(say("no_command", language, package=package), soft_wrap=True)
    elif not any(run_scripts([session], timeout_s=_TIMEOUT_S, echo=True).statuses):
        return
    console.print(say("recorded", language), soft_wrap=True)
    console.print(expected(lesson, name, language).rstrip(), soft_wrap=True, highlight=False, markup=False)


def _show_exercise(console: Console, lesson: Lesson, language: str) -> None:
    file = f"my_{lesson.name.replace('-', '_')}.py"
    console.rule(f"{say('begin_with', language)}: {file}")
    _show_code(console, lesson, "exercise.py", language)
    console.rule(say("must_print", language))
    console.print(expected(lesson, "solution.py", language).rstrip(), highlight=False, markup=False)
    console.rule(say("check_with", language))
    console.print(f"hardy learn check {lesson.name} {file}", highlight=False, markup=False)
