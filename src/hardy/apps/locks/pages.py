"""The catalogue as documents: a Markdown page in each language, and one HTML page that sorts and filters."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

from hardy.apps.locks.catalogue import KINDS, Entry, entries

__all__ = ["HEADS", "entry_markdown", "html_page", "markdown_page"]

# What the texts of an entry, after its name, answer.
HEADS = {
    "en": ("What it is", "When to choose it", "What it costs", "Where it is found", "In hardy"),
    "zh": ("是什么", "什么时候用", "代价", "哪里能见到", "在 hardy 里"),
}
HEADS_OF_ILLS = {
    "en": ("What it is", "How you notice", "The cure", "Where it was seen", "In hardy"),
    "zh": ("是什么", "怎么发现", "怎么治", "哪里见过", "在 hardy 里"),
}
_TITLE = {"en": "A catalogue of locks", "zh": "锁大全"}
_INTRODUCTION = {
    "en": (
        "Every lock that the trade names, and every ill that comes of locks: what it is, when to choose it, what it "
        "costs, which real system has it, and what there is of it in hardy. The programs run; the tests run them.\n\n"
        "The same in the terminal: `hardy locks`, `hardy locks mutex`. The same as [a page that sorts and "
        "filters](locks.html). If you have never met a data race, begin with [the lesson](learn/16-race.md)."
    ),
    "zh": (
        "行内叫得出名字的锁，以及锁惹出来的毛病：是什么，什么时候用，代价多大，哪个真实的系统里有，hardy 里有没有。"
        "程序都能运行，测试里也都运行过。\n\n"
        "终端里也能查：`hardy locks`、`hardy locks 互斥锁`。还有一份[可以排序、筛选的网页](../locks.html)。"
        "没见过数据竞争的，先读[那一课](learn/16-race.md)。"
    ),
}
_COLUMNS = {"en": ("name", "between", "price", "hardy"), "zh": ("名字", "谁和谁之间", "无人争用时的代价", "hardy")}
_WHOM = {"threads": "线程", "processes": "进程", "transactions": "事务", "machines": "机器"}


def heads(entry: Entry, language: str) -> tuple[str, ...]:
    """What the texts of this entry answer."""
    return (HEADS_OF_ILLS if entry.kind == "ills" else HEADS)[language]


def between(entry: Entry, language: str) -> str:
    """Whom it concerns, for people."""
    return "、".join(_WHOM[each] for each in entry.between) if language == "zh" else ", ".join(entry.between)


def entry_markdown(entry: Entry, language: str) -> str:
    """One entry, without its heading."""
    colon = "：" if language == "zh" else ":"
    rows = []
    for head, text in zip(heads(entry, language), entry.texts[language][1:], strict=True):
        rows.append(text if head == heads(entry, language)[0] else f"- **{head}{colon}** {text}")
    text = f"{rows[0]}\n\n" + "\n".join(rows[1:])
    return f"{text}\n\n```python\n{entry.snippet.rstrip()}\n```" if entry.snippet else text


def markdown_page(language: str) -> str:
    """The whole catalogue in that language."""
    pieces = [
        "<!-- Made by tools/learn_docs.py from src/hardy/apps/locks: change it there. -->",
        f"# {_TITLE[language]}",
        _INTRODUCTION[language],
        "| "
        + " | ".join(_COLUMNS[language])
        + " |\n| --- | --- | --- | --- |\n"
        + "\n".join(
            f"| [{entry.name(language)}](#{entry.id}) | {between(entry, language)} | {entry.price} | "
            + (", ".join(f"`{name}`" for name in entry.classes) or "-")
            + " |"
            for entry in entries()
        ),
    ]
    for kind, names in KINDS.items():
        pieces.append(f"## {names[language == 'zh'].capitalize()}")
        for entry in entries():
            if entry.kind == kind:
                pieces.append(f'<a id="{entry.id}"></a>\n\n### {entry.name(language)}')
                pieces.append(entry_markdown(entry, language))
    return "\n\n".join(pieces) + "\n"


def html_page() -> str:
    """The page that sorts and filters: one file, both languages, no other."""
    data = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "between": list(entry.between),
            "price": entry.price,
            "classes": list(entry.classes),
            "snippet": entry.snippet,
            "heads": {language: heads(entry, language) for language in ("en", "zh")},
            "texts": {language: [_inline(text) for text in entry.texts[language]] for language in ("en", "zh")},
        }
        for entry in entries()
    ]
    template = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    # "</" would end the script element.
    values = {"ENTRIES": data, "KINDS": KINDS, "WHOM": _WHOM}
    for name, value in values.items():
        template = template.replace(f"/*{name}*/", json.dumps(value, ensure_ascii=False).replace("</", "<\\/"))
    return template


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", text.replace("**", "*"))
