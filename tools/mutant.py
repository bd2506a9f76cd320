"""What a mutant is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One change of one file under src/hardy/_core.

    Attributes:
        name: what it breaks.
        file: the header or .pyx.
        old, new: the text, and what takes its place.
        extensions: which must be built anew.
        tests: what must fail, as arguments for pytest.
    """

    name: str
    file: str
    old: str
    new: str
    extensions: tuple[str, ...]
    tests: tuple[str, ...]


WAKES = "tests/aimed/test_wakes.py"


def aimed(scene: str) -> str:
    """The test that kills at each instruction of that scene."""
    return f"tests/aimed/test_aimed.py::test_object_is_whole_when_its_user_is_killed_after_any_instruction[{scene}]"
