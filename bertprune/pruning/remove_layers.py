"""Take whole layers out: by number, or those that change least what goes through them."""

import math
from typing import TYPE_CHECKING

import torch

from ..model.cuts import Cut
from ..parallel import Progress
from .choose import Decision
from .granularity import LayerUnit
from .outcomes import StepOutcome, TensorOutcome
from .steps import MatchedStep

if TYPE_CHECKING:
    from .calibrated import Calibrator


def remove_layers(
    matched: MatchedStep,
    decision: Decision,
    generator: torch.Generator,
    calibrator: "Calibrator | None",
    progress: Progress,
) -> StepOutcome:
    """Run a step that removes layers, and take them out of the decision."""
    (unit,) = matched.units
    assert isinstance(unit, LayerUnit)
    gone = _choose(matched, unit, generator, calibrator, progress)
    outcome = StepOutcome(
        matched.step,
        tuple(
            TensorOutcome(one.name, math.prod(one.shape), alive, alive if number in gone else 0)
            for number, targets in unit.members.items()
            for one, alive in ((one, decision.alive(one)) for one in targets)
        ),
        matched.method,
        cut=Cut(gone),
    )
    decision.take_out(Cut(gone), [one for number in gone for one in unit.members[number]])
    return outcome


def _choose(
    matched: MatchedStep,
    unit: LayerUnit,
    generator: torch.Generator,
    calibrator: "Calibrator | None",
    progress: Progress,
) -> tuple[int, ...]:
    """Return the layers that go: those that are asked for, or those with the lowest scores."""
    groups = [matched.granularity.groups(unit, [], [])]
    amounts = matched.scope.amounts(matched.step, groups, [unit])
    if amounts[0] in (0, len(unit.members)):
        scores = groups[0].unscored()
    else:
        assert calibrator is not None
        means = calibrator.means(matched, generator, progress)
        scores = groups[0].scores(matched.method, matched.options, generator, {"means": means})
    (keep,) = matched.scope.keep(groups, [scores], amounts)
    return tuple(number for number, kept in zip(unit.members, keep.tolist(), strict=True) if not kept)
