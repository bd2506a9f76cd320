"""The lessons: their scripts print what the pages show, and the pages are made of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from helpers.learned import Printed, all_runs, run_all

from hardy.apps.learn import contents, pages
from hardy.apps.learn.checking import OUTLINE, difference, same
from hardy.apps.learn.console import missing
from tools import learn_docs

LONGEST = 40
ROOT = Path(__file__).parents[2]
HOME = Path(contents.__file__).parent / "lessons"
SCRIPTS = [
    pytest.param(script, each.way, id="-".join(script.relative_to(HOME).parts))
    for each in all_runs()
    for script in each.scripts
]
TWINS = sorted(HOME.glob("*/zh/*.py"))
LESSONS = pytest.mark.parametrize("lesson", contents.LESSONS, ids=lambda lesson: lesson.name)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Printed]:
    return run_all(tmp_path_factory.mktemp("faster"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("script", "way"), SCRIPTS)
def test_script_prints_what_the_page_shows(printed: dict[Path, Printed], script: Path, way: str) -> None:
    """But for the numbers of the day; it ends well, unless it is about an error; and it leaves nothing running."""
    shown = script.with_suffix(".txt").read_text()

    output, status, left = printed[script]

    assert same(shown, output, way), difference(shown, output, way)
    assert status == 0 or way == OUTLINE
    assert not left


def without_texts(script: Path) -> str:
    """What it does, whatever it says: its syntax tree, with the texts taken out."""
    tree = ast.parse(script.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
        elif isinstance(node, ast.JoinedStr):
            # A text between two values may be empty in one language.
            node.values = [each for each in node.values if not isinstance(each, ast.Constant)]
            node.values.sort(key=ast.dump)
    return ast.dump(tree)


@pytest.mark.parametrize("twin", TWINS, ids=lambda path: "-".join(path.relative_to(HOME).parts))
def test_chinese_script_does_what_the_english_one_does(twin: Path) -> None:
    """Only texts and comments differ, and they are Chinese."""
    assert without_texts(twin) == without_texts(twin.parents[1] / twin.name)
    assert re.search("[\u4e00-\u9fff]", twin.read_text())


def test_sessions_wait_for_nothing_on_a_small_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where `ps` is missing, the package to install is named."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert missing("$ python x.py &\n$ ps -p $!\n") == "procps"
    assert missing("$ hardy ps\n") == ""


def test_pages_are_what_is_made_of_the_lessons() -> None:
    """`python tools/learn_docs.py` would change nothing."""
    made = learn_docs.documents()

    assert {path: path.read_text() for path in made if path.exists()} == made
    assert {path for folder in learn_docs.FOLDERS.values() for path in folder.glob("*.md")} <= set(made)


def anchors(page: Path) -> set[str]:
    """What a link into the page can name."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {*re.findall(r'<a id="([^"]+)">', text), *(heading.lower().replace(" ", "-") for heading in headings)}


def test_links_of_pages_lead_somewhere() -> None:
    """To files that are there, and to headings that are on them."""
    broken = []
    for path in learn_docs.documents():
        if path.suffix != ".md":
            continue
        for link, heading in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", path.read_text()):
            target = path.parent / link if link else path
            if not target.exists() or (heading and heading not in anchors(target)):
                broken.append(f"{path.relative_to(ROOT)}: {link}#{heading}")

    assert not broken, "\n".join(broken)


@LESSONS
def test_lesson_is_whole_in_both_languages(lesson: contents.Lesson) -> None:
    """Short scripts that plain Python can run, questions with answers, one exercise; the same in both languages."""
    english, chinese = (
        [part for part in pages.parts(lesson.page(language)) if part.kind != "text"] for language in ("en", "zh")
    )

    assert [part._replace(text="") for part in english] == [part._replace(text="") for part in chinese]
    kinds = [part.kind for part in english]
    assert kinds.count("run") >= 1
    assert kinds.count("ask") == kinds.count("answer") >= 2
    assert kinds.count("exercise") == 1
    assert kinds.count("picture") >= 1
    for script in lesson.folder.glob("*.py"):
        assert len(script.read_text().splitlines()) < LONGEST, script
        ast.parse(script.read_text())
    files = [part for part in pages.parts(lesson.page("en")) if part.kind in ("run", "show")]
    used = {name for part in files for name in part.files} | {"exercise.py", "solution.py"}
    assert {path.name for path in lesson.folder.iterdir() if path.suffix in (".py", ".console")} == used


@LESSONS
def test_chinese_page_is_chinese(lesson: contents.Lesson) -> None:
    """Not a copy of the English one that nobody translated."""
    texts = [part.text for part in pages.parts(lesson.page("zh")) if part.text]

    assert all(re.search("[\u4e00-\u9fff]", text) for text in texts)
