"""Each protocol of the core, in every state that three processes and their deaths can bring about.

The models are in `protocols/`; docs/en/design/0005-models.md says which C function each step stands for.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model.protocols import meetings, parties, rings, rows, watches, words
from model.protocols.explorer import Model, Violated, explore

MODELS: list[tuple[Callable[[str], Model], tuple[str, ...]]] = [
    pair for module in (words, parties, meetings, rings, rows, watches) for pair in module.MODELS
]
BROKEN = [(make, variant) for make, variants in MODELS for variant in variants]


@pytest.mark.parametrize("make", [make for make, _ in MODELS], ids=lambda make: make.__name__)
def test_protocol_holds_in_every_state(make: Callable[[str], Model]) -> None:
    """Whoever dies wherever: nothing is torn, and everyone who lives comes to an end."""
    found = explore(make(""))

    assert found.states > 50
    assert found.ends > 1


@pytest.mark.parametrize(("make", "variant"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_protocol_is_refuted_when_it_is_broken(make: Callable[[str], Model], variant: str) -> None:
    """A store left out or out of order has a state that shows it: the model can fail."""
    with pytest.raises(Violated):
        explore(make(variant))
