"""The command `hardy locks`."""

from __future__ import annotations

import argparse
import sys

from hardy.apps.learn.words import language_of_locale
from hardy.apps.locks import pages
from hardy.apps.locks.catalogue import KINDS, Entry, entries, find, nearest

__all__ = ["main"]

_UNKNOWN = {
    "en": ("There is no lock {name!r} in the catalogue. ", "Did you mean {near}?", "`hardy locks` lists them all."),
    "zh": ("目录里没有 {name!r}。", "是不是想找 {near}？", "`hardy locks` 列出全部。"),
}


def main(argv: list[str] | None = None) -> int:
    """Run `hardy locks`.

    Args:
        argv: the command line after `hardy locks`; None: that of this process.

    Returns:
        The exit status: 0, or 2 when there is no such lock.
    """
    parser = argparse.ArgumentParser(
        prog="hardy locks", description="Every lock that the trade names, and the ills of locks. With a name: that one."
    )
    parser.add_argument("name", nargs="?", help="of a lock, in English or Chinese, or of a class of hardy")
    parser.add_argument("--lang", choices=("en", "zh"), default=language_of_locale(), help="default: %(default)s")
    parser.add_argument("--kind", choices=tuple(KINDS), help="list only these")
    options = parser.parse_args(argv)
    if options.name is None:
        _list(options.lang, options.kind)
        return 0
    entry = find(options.name)
    if entry is None:
        none, likest, all_of_them = _UNKNOWN[options.lang]
        near = ", ".join(nearest(options.name))
        print(none.format(name=options.name) + (likest.format(near=near) if near else all_of_them), file=sys.stderr)
        return 2
    _show(entry, options.lang)
    return 0


def _list(language: str, wanted: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for kind, names in KINDS.items():
        if wanted not in (None, kind):
            continue
        table = Table(title=names[language == "zh"], title_justify="left", box=None, pad_edge=False, show_header=False)
        for entry in entries():
            if entry.kind == kind:
                what = entry.texts[language][1]
                table.add_row(f"[bold]{entry.id}[/bold]", entry.name(language), _first_sentence(what))
        console.print(table)
        console.print()


def _first_sentence(text: str) -> str:
    for end in ("。", ". "):
        head, found, _ = text.partition(end)
        if found:
            return head + end.strip()
    return text


def _show(entry: Entry, language: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(f"# {entry.name(language)}"))
    console.print(f"{KINDS[entry.kind][language == 'zh']} · {pages.between(entry, language)} · {entry.price}\n")
    console.print(Markdown(pages.entry_markdown(entry, language)))
