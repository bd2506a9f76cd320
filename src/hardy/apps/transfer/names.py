"""Names of files as they come over the wire, and which of them are refused.

A name is relative to the served folder, its parts separated by `/`. Refused is whatever could leave the folder (`..`,
absolute), what cannot be a file's name at all (NUL, an empty part), what is there to mislead a reader (control
characters, marks that turn the direction of writing), and the server's own hidden folder. Links are no matter of names:
`Folder` does not follow any.
"""

from __future__ import annotations

import os
import unicodedata
from urllib.parse import quote, unquote_to_bytes

from hardy.apps.transfer.errors import BadName

__all__ = ["HIDDEN", "parse_name", "parse_new_name", "to_url", "url_to_name"]

# The server's own folder, in the one that is served: so that an upload becomes a file by a rename.
HIDDEN = ".hardy-transfer"
_LONGEST_PART, _LONGEST_NAME = 255, 4000
# Control, unpaired surrogate, line and paragraph separators.
_REFUSED_KINDS = ("Cc", "Cs", "Zl", "Zp")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff")
# Spaces of no width. (Those that join letters are part of names in several scripts, and of emoji.)
_UNSEEN = frozenset("\u200b\u2060\u180e\u00ad")


def parse_name(name: str) -> tuple[str, ...]:
    """The parts of the name of a file that may be there.

    Raises:
        BadName: it could not be in the folder.
    """
    if not name:
        raise BadName("the name is empty")
    if name.startswith("/"):
        raise BadName(f"{name!r} is absolute; a name is relative to the folder that is served")
    parts = tuple(name.split("/"))
    for part in parts:
        if part in ("", ".", ".."):
            raise BadName(f"{name!r} has the part {part!r}; a name says the way down from the folder that is served")
        if "\0" in part:
            raise BadName(f"{name!r} has a NUL, which no file's name can have")
        if len(os.fsencode(part)) > _LONGEST_PART:
            raise BadName(f"{part[:40]!r}... is longer than {_LONGEST_PART} bytes, which the file system refuses")
    if parts[0] == HIDDEN:
        raise BadName(f"{HIDDEN!r} is the server's own")
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise BadName(f"{name[:40]!r}... is longer than {_LONGEST_NAME} bytes")
    return parts


def parse_new_name(name: str) -> tuple[str, ...]:
    """The parts of the name of a file that is to be made: more is refused than for one that is there."""
    for character in name:
        if character in _TURNS | _UNSEEN or unicodedata.category(character) in _REFUSED_KINDS:
            raise BadName(
                f"{name!a} has the character U+{ord(character):04X}, which cannot be seen or misleads who reads "
                "the name. Take another name"
            )
    parts = parse_name(name)
    if blank := next((part for part in parts if part.isspace()), None):
        raise BadName(f"{name!r} has the part {blank!r}, which cannot be seen. Take another name")
    return parts


def to_url(name: str) -> str:
    """The name as a part of a URL."""
    return quote(os.fsencode(name), safe="/")


def url_to_name(path: bytes) -> str:
    """The name that a part of a URL stands for; bytes that are no UTF-8 come as they do from the file system."""
    return os.fsdecode(unquote_to_bytes(path))
