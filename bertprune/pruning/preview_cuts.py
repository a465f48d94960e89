"""What a preview knows where texts will say which layers go: how many, and of which.

Layers are alike, so that it does not matter for a step over all of them which are gone. Of any other step only the most
that it can remove is known.
"""

from collections.abc import Sequence

import torch

from ..model.cuts import Cut
from .bounds import Ledger
from .granularity import LayerUnit, Unit
from .steps import MatchedStep


class OpenCuts:
    """The layers of which some are gone after the steps so far, and those that are taken for gone."""

    def __init__(self) -> None:
        """Start with nothing gone."""
        self._among: dict[str, int] = {}
        """By the name of a tensor, the layer that it is part of and that may be gone."""
        self._gone: frozenset[int] = frozenset()

    def add(self, matched: MatchedStep) -> Cut:
        """Add a step that takes something out; return what is certain to go: of tokens, taken for the last ones."""
        unit = matched.units[0]
        if matched.removes_tokens:
            return self._tokens(matched)
        if not isinstance(unit, LayerUnit):
            return Cut()
        there = [number for number in unit.members if number not in self._gone]
        amount = min(matched.step.amount_of(len(there)), len(there))
        if amount == len(unit.members):
            return Cut(tuple(unit.members))
        if amount:
            self._among |= {one.name: number for number in there for one in unit.members[number]}
            self._gone |= frozenset(there[len(there) - amount :])
        return Cut()

    @staticmethod
    def _tokens(matched: MatchedStep) -> Cut:
        size = len(matched.targets[0].parameter)
        left = size - matched.step.amount_of(size)
        return Cut(tokens=Cut.packed(torch.arange(left))) if 0 < left < size else Cut()

    def units(self, matched: MatchedStep, ledger: Ledger) -> tuple[Sequence[Unit], bool]:
        """Return the units of a step that are taken for alive, and whether their number and sizes are certain."""
        if not self._among:
            return matched.units, True
        touched: dict[int, list[tuple[int, int]]] = {}
        for target in matched.targets:
            if (layer := self._among.get(target.name)) is not None:
                touched.setdefault(layer, []).append(ledger.of(target).alive)
        if not touched:
            return matched.units, True
        if (
            matched.removes_layers
            or touched.keys() != set(self._among.values())
            or len(set(map(tuple, touched.values()))) > 1
        ):
            return matched.units, False
        alive = [unit for unit in matched.units if self._among.get(unit.targets[0].name) not in self._gone]
        return alive, True
