"""Whether the layers of a model stay equal under a recipe, so that its small form is an ordinary model."""

import math
from collections.abc import Iterable

from torch import nn

from ..checkpoint.irregular import Loads
from ..errors import SelectionError
from ..model.coupled import Coupled, find_coupled
from ..selection import Selection
from .bounds import Range
from .granularity import CoupledUnit, LayerUnit, Slices, Unit
from .steps import MatchedStep


def small_loads(model: nn.Module, steps: Iterable[MatchedStep]) -> Loads | None:
    """Tell what would load the small form after these steps; None where only the values tell.

    Counted are neurons, heads, and the columns that are neurons. In global scope each layer is expected to lose another
    number.
    """
    try:
        found = {kind: find_coupled(model, kind, Selection()) for kind in ("neuron", "head")}
    except SelectionError:
        return None
    living = {(one.kind, one.layer): (_alive(one),) * 2 for each in found.values() for one in each}
    parts = {target.name: one for each in found.values() for one in each for target in one.targets}
    for matched in steps:
        for unit in matched.units:
            part = unit.coupled if isinstance(unit, CoupledUnit) else parts.get(unit.targets[0].name)
            if part is None or (at := (part.kind, part.layer)) not in living:  # its layer is taken out
                continue
            if isinstance(unit, CoupledUnit) or _takes_columns(matched, unit, part):
                living[at] = _left(matched, living[at])
            elif _may_empty(matched, unit, part):
                return None
    heads = all(living["head", one.layer] == (one.number,) * 2 for one in found["head"])
    neurons = {living["neuron", one.layer] for one in found["neuron"]}
    return "plain" if heads and len(neurons) == 1 and all(low == high for low, high in neurons) else "bertprune"


def _alive(one: Coupled) -> int:
    """Count the neurons or heads of a layer whose output is not wholly masked."""
    mask = one.output.mask
    return one.number if mask is None else len(set(one.columns[(mask != 0).any(dim=0).cpu()].tolist()))


def _takes_columns(matched: MatchedStep, unit: Unit, part: Coupled) -> bool:
    """Return whether a step prunes whole columns of the matrix after the neurons, which takes these out."""
    return part.kind == "neuron" and unit.targets[0].name == part.output.name and _dim(matched) == 1


def _may_empty(matched: MatchedStep, unit: Unit, part: Coupled) -> bool:
    """Return whether a step may leave nothing of a neuron or head without being one that counts them."""
    target, size = unit.targets[0], math.prod(unit.targets[0].shape)
    is_output = target.name == part.output.name
    whole = not isinstance(unit, LayerUnit) and matched.step.amount_of(size) >= size
    return whole or matched.method.makes_masks or _dim(matched) == (1 if is_output else 0)


def _dim(matched: MatchedStep) -> int | None:
    """Return the axis of the slices that a step prunes, None where it prunes others."""
    granularity = matched.granularity
    return granularity.dim % 2 if isinstance(granularity, Slices) and matched.kind != "block" else None


def _left(matched: MatchedStep, alive: Range) -> Range:
    """Return how many can be left in a layer; one stays in any case."""
    if matched.step.scope == "global":
        return (1, 1) if matched.step.fraction == 1 else (1, alive[1])
    low, high = (number - min(number, matched.step.amount_of(number)) for number in alive)
    return max(1, low), max(1, high)
