"""The pages: what their sources say, and how they look as Markdown.

The source of a page is Markdown with these lines between:

    {run NAME.py}         the script, and below it what it prints; after it one of `checking.WAYS`, if not "exact"
    {run NAME.console}    what was typed in a terminal, and what came of it: see `console`
    {show NAME.py}        a script that such a session runs
    {together A.py B.py}  scripts that run beside each other, each with what it prints
    {picture NAME.py}     the time line of that script, where there is one
    {ask} ... {answer} ... {end}    a question, and the answer, which is folded
    {exercise}            skeleton, what it should print, and the folded solution; compared as above

and `{docs}` in a link stands for the way to the folder docs/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hardy.apps.learn.checking import ANY_NUMBER, ANY_ORDER, EXACT, WAYS
from hardy.apps.learn.contents import LANGUAGES, LESSONS, Lesson
from hardy.apps.learn.words import say

__all__ = ["Part", "expected", "index_markdown", "page_markdown", "parts", "picture_name", "prose", "runs", "scripts"]

_LINE = re.compile(r"\{(run|together|show|picture|ask|answer|end|exercise)((?: [\w.-]+)*)\}")


class Part(NamedTuple):
    """A piece of a page.

    Attributes:
        kind: "text", "run" (also for together), "show", "picture", "ask", "answer" or "exercise".
        text: of text, ask and answer.
        files: what a run runs; the script of a picture, or that is shown.
        way: how what is printed is compared.
    """

    kind: str
    text: str = ""
    files: tuple[str, ...] = ()
    way: str = EXACT


def parts(source: str) -> Iterator[Part]:
    """The pieces of a page's source, in order.

    Raises:
        ValueError: a question without an end.
    """
    kind, lines = "text", list[str]()
    for line in source.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            lines.append(line)
            continue
        if text := "\n".join(lines).strip("\n"):
            yield Part(kind, text)
        lines = []
        word, arguments = found[1], found[2].split()
        kind = word if word in ("ask", "answer") else "text"
        if word in ("run", "together", "exercise"):
            ways = [each for each in arguments if each in WAYS] or [EXACT]
            files = tuple(each for each in arguments if each not in WAYS)
            yield Part("exercise" if word == "exercise" else "run", files=files, way=ways[0])
        elif word in ("show", "picture"):
            yield Part(word, files=tuple(arguments))
    if kind != "text":
        raise ValueError(f"no {{end}} after {{{kind}}}")
    if text := "\n".join(lines).strip("\n"):
        yield Part("text", text)


def prose(text: str, language: str) -> str:
    """The text with lines joined where their break would show as a space that the language does not have."""
    if language != "zh":
        return text
    return re.sub(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n(?=[^\s|#>-]|-\S)(?!\d+\.|```)", "", text)


def scripts(lesson: Lesson) -> list[tuple[list[Path], Part]]:
    """What of the lesson is run, in every language: the files that run beside each other, and how they are compared."""
    found = []
    for language in LANGUAGES:
        for part in runs(lesson):
            files = [lesson.script(name, language) for name in part.files]
            if (files, part) not in found:
                found.append((files, part))
    return found


def runs(lesson: Lesson) -> list[Part]:
    """What of the lesson is run, its solution too."""
    found = []
    for part in parts(lesson.page("en")):
        if part.kind == "run":
            found.append(part)
        elif part.kind == "exercise":
            found.append(Part("run", files=("solution.py",), way=part.way))
    return found


def expected(lesson: Lesson, script: str, language: str) -> str:
    """What the script printed when it was recorded."""
    return lesson.script(script, language).with_suffix(".txt").read_text(encoding="utf-8")


def picture_name(lesson: Lesson, script: str) -> str:
    """Of the file with the time line of that script."""
    return f"{lesson.name}-{Path(script).stem}.svg"


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _script(lesson: Lesson, name: str, language: str) -> str:
    return _fenced(lesson.script(name, language).read_text(encoding="utf-8"), "python")


def _folded(summary: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def _colon(language: str) -> str:
    return "：" if language == "zh" else ":"


def _note(part: Part, language: str) -> str:
    return f" ({say('any_order', language)})" if part.way in (ANY_ORDER, ANY_NUMBER) else ""


def _run(lesson: Lesson, name: str, part: Part, language: str) -> str:
    printed = expected(lesson, name, language)
    if name.endswith(".console"):
        return f"{say('terminal', language)}{_colon(language)}\n\n{_fenced(printed, 'console')}"
    return "\n\n".join(
        (
            f"`{name}`{_colon(language)}",
            _script(lesson, name, language),
            f"{say('prints', language)}{_note(part, language)}{_colon(language)}",
            _fenced(printed, "text"),
        )
    )


def _piece(lesson: Lesson, part: Part, language: str, docs: str, pictures: Path | None) -> str:
    if part.kind == "run":
        return "\n\n".join(_run(lesson, name, part, language) for name in part.files)
    if part.kind == "show":
        return f"`{part.files[0]}`{_colon(language)}\n\n{_script(lesson, part.files[0], language)}"
    if part.kind == "picture":
        name = picture_name(lesson, part.files[0])
        if pictures is None or not (pictures / name).exists():
            return ""
        caption = say("picture", language)
        return f"![{part.files[0]}: {caption}]({docs}/img/learn/{name})\n\n*{caption}*"
    if part.kind == "ask":
        return f"**{say('question', language)}{_colon(language)}** {prose(part.text, language)}"
    if part.kind == "answer":
        return _folded(say("answer", language), prose(part.text, language))
    if part.kind == "exercise":
        file = f"my_{lesson.name.replace('-', '_')}.py"
        return "\n\n".join(
            (
                f"{say('begin_with', language)} (`{file}`){_colon(language)}",
                _script(lesson, "exercise.py", language),
                f"{say('check_with', language)}{_colon(language)}",
                _fenced(f"hardy learn check {lesson.name} {file}", "text"),
                f"{say('must_print', language)}{_note(part, language)}{_colon(language)}",
                _fenced(expected(lesson, "solution.py", language), "text"),
                _folded(say("a_solution", language), _script(lesson, "solution.py", language)),
            )
        )
    return prose(part.text, language)


def page_markdown(lesson: Lesson, language: str, docs: str = "..", pictures: Path | None = None) -> str:
    """The page as Markdown.

    Args:
        lesson: which.
        language: "en" or "zh".
        docs: the way from the page to the folder docs/.
        pictures: folder with the time lines that exist; None: without them.
    """
    source = f"src/hardy/apps/learn/lessons/{lesson.folder.name}"
    title = f"# {lesson.number}. {lesson.title(language)}"
    pieces = [say("made", language, source=source), title]
    pieces += [_piece(lesson, part, language, docs, pictures) for part in parts(lesson.page(language))]
    around = []
    if lesson.number > 1:
        before = LESSONS[lesson.number - 2]
        around.append(f"{say('previous', language)}{_colon(language)} [{before.title(language)}]({before.file_name})")
    if lesson.number < len(LESSONS):
        after = LESSONS[lesson.number]
        around.append(f"{say('next', language)}{_colon(language)} [{after.title(language)}]({after.file_name})")
    pieces.append("---\n\n" + " · ".join(around))
    return "\n\n".join(filter(None, pieces)).replace("{docs}", docs) + "\n"


def index_markdown(language: str, introduction: str) -> str:
    """The table of contents as Markdown, below an introduction."""
    rows = [
        f"| {lesson.number} | [{lesson.title(language)}]({lesson.file_name}) | `hardy learn {lesson.name}` |"
        for lesson in LESSONS
    ]
    head = f"| | {say('title', language)} | |\n| --- | --- | --- |"
    made = say("made", language, source="src/hardy/apps/learn")
    return "\n\n".join((made, introduction.strip(), "\n".join([head, *rows]))) + "\n"
