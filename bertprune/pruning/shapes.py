"""Whether the layers of a model stay equal under a recipe, so that its small form is an ordinary model."""

from collections.abc import Iterable

from torch import nn

from ..checkpoint.irregular import Loads
from ..errors import SelectionError
from ..model.coupled import Coupled, find_coupled
from ..selection import Selection
from .bounds import Range
from .granularity.coupled import CoupledUnit
from .steps import MatchedStep


def small_loads(model: nn.Module, steps: Iterable[MatchedStep]) -> Loads | None:
    """Tell what would load the small form after these steps; None where the family's neurons and heads are not known.

    Counted are steps that prune neurons or heads. In global scope each layer is expected to lose another number.
    """
    try:
        found = {kind: find_coupled(model, kind, Selection()) for kind in ("neuron", "head")}
    except SelectionError:
        return None
    living = {(one.kind, one.layer): (_alive(one),) * 2 for each in found.values() for one in each}
    for matched in steps:
        for unit in matched.units:
            if isinstance(unit, CoupledUnit):
                at = unit.coupled.kind, unit.coupled.layer
                if at in living:  # its layer is not taken out
                    living[at] = _left(matched, living[at])
    heads = all(living["head", one.layer] == (one.number,) * 2 for one in found["head"])
    neurons = {living["neuron", one.layer] for one in found["neuron"]}
    return "plain" if heads and len(neurons) == 1 and all(low == high for low, high in neurons) else "bertprune"


def _alive(one: Coupled) -> int:
    """Count the neurons or heads of a layer whose output is not wholly masked."""
    mask = one.output.mask
    return one.number if mask is None else len(set(one.columns[(mask != 0).any(dim=0).cpu()].tolist()))


def _left(matched: MatchedStep, alive: Range) -> Range:
    """Return how many can be left in a layer; one stays in any case."""
    if matched.step.scope == "global":
        return 1, alive[1]
    low, high = (number - min(number, matched.step.amount_of(number)) for number in alive)
    return max(1, low), max(1, high)
