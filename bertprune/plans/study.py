"""What a plan tries before it prunes: whole models put together from parts, each pruned by itself.

All parts come from one set of statistics of the unpruned model, so that hundreds of allocations can be measured in the
time that pruning a few of them would take.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..parallel import Progress
from ..pruning.steps import match_steps
from ..pruning.tries import Part, Tries, removal, without
from ..recipe import Recipe
from ..scores.obs import damped
from ..step import Step
from .allocation import Counts, Option


@dataclass(frozen=True)
class Way:
    """By which score heads and neurons are chosen, and whether what stays is adjusted."""

    method: str
    reconstruct: bool


WAYS = (Way("obs", True), Way("fisher", False), Way("obs", False), Way("fisher", True))
"""The ways that compete; of those that drift the same, the first."""


class Study:
    """The heads and neurons of a model, in what order they go in each way, and what the model then answers."""

    def __init__(self, tries: Tries, model: torch.nn.Module, missing: frozenset[str], seed: int) -> None:
        """Find the parts. Raises SelectionError where the heads and neurons of the model are not known."""
        self.tries, self._seed = tries, seed
        self._parts = {way: _parts(tries, model, missing, way) for way in WAYS}
        self.parts: list[Part] = self._parts[WAYS[0]]
        """The neurons of all layers, and then the heads."""
        self.scores: list[NDArray[np.float64]] = []
        """The scores by Fisher, in the order in which each part loses them by Fisher."""
        self._orders: dict[Way, list[Tensor]] = {}
        self._grams: list[Tensor] = []
        self._now: list[tuple[Way, int] | None] = [None] * len(self.parts)

    def collect(self, progress: Progress) -> None:
        """Read the texts, once for the gradients and once for the inputs of all parts."""
        progress(0.0, "gradients")
        fisher = Way("fisher", False)
        found = self.tries.gradients(self._parts[fisher], torch.Generator().manual_seed(self._seed), few=True)
        slopes = dict(zip(range(len(self.parts)), found, strict=True))
        orders: dict[Way, dict[int, Tensor]] = {way: {} for way in WAYS}
        scores: dict[int, Tensor] = {}
        grams: dict[int, Tensor] = {}
        layers = sorted({part.layer for part in self.parts})
        for done, layer in enumerate(layers):
            progress(0.3 + 0.7 * done / len(layers), f"layer {layer}: what goes first")
            here = [at for at, part in enumerate(self.parts) if part.layer == layer]
            for at, known in zip(here, self.tries.inputs([self.parts[at] for at in here]), strict=True):
                for way in (Way("obs", True), Way("obs", False), fisher):
                    part = self._parts[way][at]
                    generator = torch.Generator().manual_seed(self._seed)
                    orders[way][at], ranked = removal(part, known.with_gradients(slopes[at]), generator)
                    if way == fisher and ranked is not None:
                        scores[at] = ranked
                assert known.fitted is not None
                grams[at] = known.fitted.gram.float()  # as it was summed
        orders[Way("fisher", True)] = orders[fisher]
        self._orders = {way: [found[at] for at in range(len(self.parts))] for way, found in orders.items()}
        self.scores = [scores[at].numpy(force=True) for at in range(len(self.parts))]
        self._grams = [grams[at] for at in range(len(self.parts))]

    def whole(self, way: Way, counts: Counts) -> Tensor:
        """Return the answers to the texts held back with so many heads and neurons less in all parts."""
        self._set(way, counts)
        return self.tries.answers()

    def around(self, way: Way, counts: Counts, offered: Sequence[Sequence[int]]) -> list[list[Option]]:
        """Return what a few answers lose with other counts in one part, and the given ones elsewhere."""
        self._set(way, counts)
        now, found = self.tries.loss_of_few(), dict[int, list[Option]]()
        for at in sorted(range(len(self.parts)), key=lambda at: self.parts[at].layer):
            found[at] = [
                (count, now if count == counts[at] else self._with_another(way, at, count)) for count in offered[at]
            ]
        return [found[at] for at in range(len(self.parts))]

    def _with_another(self, way: Way, at: int, count: int) -> float:
        return self.tries.loss_with([self.parts[at]], [self._values(way, at, count)])

    def by_norm(self) -> list[NDArray[np.float64]]:
        """Return the squared norms of the outputs' columns, the least first, for an allocation by them."""
        found = []
        for part in self.parts:
            groups = part.groups
            sums = groups.grid.sums(groups.living() ** 2)[groups.places]  # type: ignore[union-attr]
            found.append(sums.sort().values.double().numpy(force=True))
        return found

    def _set(self, way: Way, counts: Counts) -> None:
        for at, count in enumerate(counts):
            if self._now[at] != (way, count) and (count or self._now[at]):
                self.tries.put(self.parts[at], self._values(way, at, count))
            self._now[at] = (way, count)

    def _values(self, way: Way, at: int, count: int) -> Tensor:
        hessian = damped(self._grams[at]) if way.reconstruct and count else None
        return without(self.parts[at], self._orders[way][at], count, hessian)


def _parts(tries: Tries, model: torch.nn.Module, missing: frozenset[str], way: Way) -> list[Part]:
    found = []
    for kind in ("neuron", "head"):
        step = Step(method=way.method, granularity=kind, fraction=1.0, reconstruct=way.reconstruct)
        (matched,) = match_steps(model, Recipe(steps=(step,)), missing)
        found += tries.parts(matched)
    return found
