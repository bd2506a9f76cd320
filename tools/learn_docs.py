"""Make the pages of `hardy learn` and `hardy locks` under docs/.

    python tools/learn_docs.py [--record [NAME ...]] [--pictures [NAME ...]]

Without options it only writes the pages. With --record, each script of the lessons (of all, or of those named) runs
first, and what it prints is kept beside it; pages show that, and the tests compare it with what the script prints then.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import hardy
from hardy.apps.learn import contents, pages
from hardy.apps.learn.running import run_scripts
from hardy.apps.locks import pages as locks_pages

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDERS = {"en": DOCS / "learn", "zh": DOCS / "zh/learn"}
PICTURES = DOCS / "img/learn"
TIMEOUT_S = 60.0


def documents() -> dict[Path, str]:
    """What each page says, by its path."""
    made = {}
    for language, folder in FOLDERS.items():
        up = "/".join([".."] * len(folder.relative_to(DOCS).parts))
        introduction = (Path(contents.__file__).parent / f"lessons/index.{language}.md").read_text(encoding="utf-8")
        made[folder / "README.md"] = pages.index_markdown(
            language, pages.prose(introduction, language).replace("{docs}", up)
        )
        for lesson in contents.LESSONS:
            made[folder / lesson.file_name] = pages.page_markdown(lesson, language, up, PICTURES)
    made[DOCS / "locks.md"] = locks_pages.markdown_page("en")
    made[DOCS / "zh/locks.md"] = locks_pages.markdown_page("zh")
    made[DOCS / "locks.html"] = locks_pages.html_page()
    return made


def record(lesson: contents.Lesson) -> None:
    """Run what the lesson runs, in each language, and keep what it prints."""
    for scripts, _ in pages.scripts(lesson):
        ran = run_scripts(scripts, timeout_s=TIMEOUT_S)
        for script, output, status in zip(scripts, ran.outputs, ran.statuses, strict=True):
            print(f"{script}: status {status}{', left: ' + '; '.join(ran.left) if ran.left else ''}")
            print(output)
            script.with_suffix(".txt").write_text(_of_no_machine(output, script), encoding="utf-8")


def draw(lesson: contents.Lesson) -> None:
    """Run what the lesson has pictures of under `hardy trace`, and keep these."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for part in pages.parts(lesson.page("en")):
        if part.kind == "picture":
            picture = PICTURES / pages.picture_name(lesson, part.files[0])
            command = [sys.executable, "-m", "hardy", "trace", "--svg", picture, "--", part.files[0]]
            subprocess.run(command, cwd=lesson.folder, timeout=TIMEOUT_S, check=True)


def _of_no_machine(text: str, script: Path) -> str:
    """The text with this machine's folders replaced by those that a reader knows."""
    text = re.sub(r"/\S*/hardy-learn-\w+/", "", text)
    text = text.replace(f"{script.parent}/", "").replace(str(Path(hardy.__file__).parent), "/usr/lib/python3/hardy")
    return text.replace(sysconfig.get_path("stdlib"), "/usr/lib/python3").replace(sys.executable, "python")


def main() -> None:
    """Record if asked to, and write the pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", nargs="*", metavar="NAME", help="run the scripts, and keep what they print")
    parser.add_argument("--pictures", nargs="*", metavar="NAME", help="draw the time lines anew")
    options = parser.parse_args()
    for names, make in ((options.record, record), (options.pictures, draw)):
        for lesson in contents.LESSONS if names is not None else ():
            if not names or lesson.name in names:
                make(lesson)
    made = documents()
    for folder in FOLDERS.values():
        folder.mkdir(parents=True, exist_ok=True)
        for stale in set(folder.glob("*.md")) - set(made):
            stale.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
