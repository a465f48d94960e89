"""Try other values in parts of a model: what they would be with less in them, and what the model then answers.

One set of statistics of the unpruned model serves all amounts. Heads and neurons go in one order, so that each amount
takes what the smaller ones took.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..data.held_back import Batches
from ..data.outputs import Output
from ..model.families import places
from ..model.targets import Target
from ..scores.obs import damped
from ..scores.statistics import Inputs
from .choose import Decision, groups_of
from .gradients import DETAILS, Detail, detail_of, gradients
from .granularity import Unit
from .granularity.coupled import CoupledGroups
from .granularity.elements import ElementGroups
from .rank import TensorScores, drop_lowest
from .reconstruct import FEW_REFINEMENTS, solve_rows
from .steps import MatchedStep, linear_owner
from .surgeon import keep_by_surgeon, order_by_surgeon, works_by_surgeon
from .walk import Walk
from .working_copy import neurons_of, plain_copy, put, put_neurons

FEW = 48
"""So many of the texts held back are enough to compare one part with another."""
FEW_FOR_GRADIENTS = 256
"""So many texts are enough to rank by gradients what a step ranks by all of them."""


@dataclass(frozen=True, eq=False)
class Known:
    """What the texts tell of a matrix."""

    every: Inputs | None = None
    """Its inputs on all texts."""
    fitted: Inputs | None = None
    """Those on the texts that are not held back."""
    gradients: Any = None

    @property
    def offered(self) -> Mapping[str, Any]:
        """What a score may ask for."""
        found = {"inputs": self.every, "gradients": self.gradients}
        return {name: value for name, value in found.items() if value is not None}

    def with_gradients(self, gradients: Any) -> "Known":
        """Return the same with gradients."""
        return replace(self, gradients=gradients)

    def hessian(self) -> Tensor:
        """Return the second derivatives by which choices are made."""
        assert self.every is not None
        return damped(self.every.gram)

    def to_adjust(self) -> Tensor:
        """Return those by which what stays is adjusted."""
        assert self.fitted is not None
        return damped(self.fitted.gram)


@dataclass(frozen=True, eq=False)
class Part:
    """A matrix that a step prunes in one layer; of heads and neurons the output, which says everything."""

    layer: int
    matched: MatchedStep
    unit: Unit
    groups: CoupledGroups | ElementGroups

    @property
    def target(self) -> Target:
        """The matrix whose values change."""
        return self.unit.targets[0]

    @property
    def needs_inputs(self) -> bool:
        """Whether score or adjustment read the inputs of the matrix."""
        return "inputs" in self.matched.method.parameters or self.matched.step.reconstruct

    @property
    def needs_products(self) -> bool:
        """Whether they read the inputs' products."""
        return self.matched.method.needs_products or self.matched.step.reconstruct

    def of(self, count: int) -> MatchedStep:
        """Return its step with another amount."""
        step = self.matched.step.model_copy(update={"fraction": None, "count": count})
        return replace(self.matched, step=step, units=(self.unit,))


class Tries:
    """A copy of a model, its parts, what the texts tell of them, and what it answers with other values in some."""

    def __init__(self, model: nn.Module, batches: Batches, output: Output) -> None:
        """Copy the model, and run it once. Raises SelectionError for a model that cannot be walked through."""
        self._model, self.output = plain_copy(model), output
        self.batches = batches.to(next(self._model.parameters()).device)
        where = places(model)
        self._layers = {path: place.layer for path, place in where.items()}
        self._roles = {path: place.role for path, place in where.items()}
        self._neurons = {one.output.name: one for one in neurons_of(self._model)}
        self._now: dict[str, Tensor] = {}
        """The values of the matrices that do not have their own."""
        self._every = Walk(self._model, self.batches, output)
        held = self.batches.only(held_back=True)
        used = (one.trimmed() if output.by_text else one for one in (held, held.thinned(FEW)))
        self._held, self._few = (Walk(self._model, one, output) for one in used)
        self.dense = self._held.dense
        """What the model answers to the texts held back."""

    def parts(self, matched: MatchedStep) -> list[Part]:
        """Return the parts that a step prunes, from the bottom to the top; what is outside the layers is left out."""
        decision = Decision()
        decision.begin(matched)
        units = [decision.now(unit) for unit in matched.units]
        found = []
        for unit, groups in zip(units, groups_of(matched, units, decision), strict=True):
            layer = self._layers.get(unit.targets[0].owners[0].path)
            assert isinstance(groups, CoupledGroups | ElementGroups)
            if layer is not None:
                found.append(Part(layer, matched, unit, groups))
        return sorted(found, key=lambda part: part.layer)

    def inputs(self, parts: Sequence[Part]) -> list[Known]:
        """Return the inputs of parts of one layer, where their steps read any, as the layers below now give them."""
        modules = list(dict.fromkeys(self._module(part) for part in parts if part.needs_inputs))
        if not modules:
            return [Known() for _ in parts]
        found = self._every.inputs(parts[0].layer, modules, any(part.needs_products for part in parts))
        return [
            Known(*(one.known(self._module(part), part.target.label) for one in found))
            if part.needs_inputs
            else Known()
            for part in parts
        ]

    def gradients(self, parts: Sequence[Part], generator: torch.Generator, few: bool = False) -> list[Any]:
        """Return the gradients of parts, where their steps read any; of all texts, or of a few."""
        batches = self.batches.thinned(FEW_FOR_GRADIENTS) if few else self.batches
        reading = [part for part in parts if "gradients" in part.matched.method.parameters]
        modules = list(dict.fromkeys(self._module(part) for part in reading))
        detail: Detail = min((detail_of(part.matched) for part in reading), key=DETAILS.index, default="columns")
        found = gradients(self._model, batches, self.output, modules, detail, generator) if reading else {}
        return [found.get(self._module(part)) for part in parts]

    def answers_with(self, parts: Sequence[Part], values: Sequence[Tensor]) -> Tensor:
        """Return what the model answers to the texts held back with other values in parts of one layer, this once."""
        return self._with(self._held, parts, values)

    def loss_with(self, parts: Sequence[Part], values: Sequence[Tensor]) -> float:
        """Return how much the answers to a few of these texts then lose, in the mean."""
        return float(self.output.losses(self._few.dense, self._with(self._few, parts, values)).mean())

    def _with(self, walk: Walk, parts: Sequence[Part], values: Sequence[Tensor]) -> Tensor:
        walk.go_to(parts[0].layer)
        old = [self._now.get(part.target.name, self._module(part).weight.detach()) for part in parts]
        try:
            for part, value in zip(parts, values, strict=True):
                self._place(part, value)
            return walk.answers()
        finally:
            for part, value in zip(parts, old, strict=True):
                self._place(part, value)

    def _place(self, part: Part, values: Tensor) -> None:
        neurons = self._neurons.get(part.target.name)
        if neurons is not None and isinstance(part.groups, CoupledGroups):
            put_neurons(self._model, neurons, values)
        else:
            put(self._model, part.target, values)

    def put(self, part: Part, values: Tensor) -> None:
        """Give a part other values, for all that is asked from now on, apart from the inputs of its own matrix."""
        self._place(part, values)
        self._now[part.target.name] = values
        for walk in (self._every, self._held, self._few):
            walk.changed(part.layer)

    def answers(self) -> Tensor:
        """Return what the model answers to the texts held back with the values that its parts have now."""
        return self._held.answers()

    def name_of(self, part: Part) -> str:
        """Return `neuron`, `head`, or the role of a matrix."""
        if isinstance(part.groups, CoupledGroups):
            return part.groups.unit.coupled.kind
        role = part.target.role or self._roles[part.target.owners[0].path]
        assert role is not None
        return role

    def loss_of_few(self) -> float:
        """Return how much the answers to a few of these texts lose with the values that the parts have now."""
        return float(self.output.losses(self._few.dense, self._few.answers()).mean())

    def losses(self, answers: Tensor) -> Tensor:
        """Return how much each answer loses against that of the unpruned model."""
        return self.output.losses(self.dense, answers)

    def drifts(self, answers: Tensor) -> Tensor:
        """Return how far each answer is from that of the unpruned model."""
        return self.output.drifts(self.dense, answers)

    def _module(self, part: Part) -> nn.Linear:
        owner = linear_owner(part.target)
        assert owner is not None
        module = self._model.get_submodule(owner.path)
        assert isinstance(module, nn.Linear)
        return module


def removal(part: Part, known: Known, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
    """Return the numbers of all heads or neurons of a part, in the order in which they go, and their scores.

    The surgeon judges them again and again, and has no scores.
    """
    matched, groups = part.matched, part.groups
    assert isinstance(groups, CoupledGroups)
    if works_by_surgeon(matched):
        return order_by_surgeon(groups, known.hessian(), groups.alive), None
    scores = groups.scores(matched.method, matched.options, generator, known.offered).values
    order = scores.argsort(stable=True)
    return groups.places[order], scores[order].double()


def without(part: Part, order: Tensor, count: int, hessian: Tensor | None) -> Tensor:
    """Return the values of a part of which the first so many heads or neurons go; with `hessian`, adjust the rest."""
    groups = part.groups
    assert isinstance(groups, CoupledGroups)
    gone = torch.isin(groups.columns, order[:count])
    living = groups.living()
    if hessian is None or not count:
        return living.masked_fill(gone, 0.0)
    return solve_rows(living.float(), hessian, (~gone).expand(living.shape), None)


def values_of(
    part: Part, known: Known, counts: Sequence[int], generator: torch.Generator, quick: bool = False
) -> Iterator[Tensor]:
    """Yield the values of a part of which so many heads, neurons or entries go, for each of the counts.

    Adjusted entries are as a step tries them, before it adjusts them in full. `quick` adjusts though the step does not,
    and chooses entries at once.
    """
    hessian = known.to_adjust() if quick or part.matched.step.reconstruct else None
    if isinstance(part.groups, CoupledGroups):
        order, _ = removal(part, known, generator)
        for count in counts:
            yield without(part, order, count, hessian)
        return
    scores = None
    if quick or not works_by_surgeon(part.matched):
        scores = part.groups.scores(part.matched.method, part.matched.options, generator, known.offered)
    for count in counts:
        mask = _entries_left(part, known, count, scores)
        weight, rows = part.target.parameter.detach(), part.target.row_mask()
        if hessian is None or not count:
            yield weight * mask
            continue
        marked = None if rows is None else rows.flatten()
        yield solve_rows(weight.float(), hessian, mask, marked, rounds=FEW_REFINEMENTS)


def _entries_left(part: Part, known: Known, count: int, scores: TensorScores | None) -> Tensor:
    """Return the mask of a matrix without the entries that score least, or that the surgeon takes."""
    groups, matched = part.groups, part.of(count)
    assert isinstance(groups, ElementGroups)
    if scores is None:
        ((keep, _),) = keep_by_surgeon(matched, [part.unit], [groups], [known.hessian()])
    else:
        (keep,) = drop_lowest([scores], count)
    (mask,), rows = groups.masks(keep), part.target.row_mask()
    return mask if rows is None else mask | ~rows
