"""Choose what a step prunes: score × granularity × scope, on what the steps before left alive."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..model.cuts import Cut
from ..model.targets import Target
from ..parallel import choose_map
from ..scores import make_mask
from ..step import Step
from .granularity import Groups, Unit
from .outcomes import StepOutcome
from .rank import TensorScores, count_true
from .scope import Amount
from .steps import MatchedStep

Statistics = Mapping[str, Any]
"""What calibration texts tell of a unit, by the name of the argument: `inputs`, `gradients`."""
AnyUnit = TypeVar("AnyUnit", bound=Unit)


@dataclass(eq=False)
class Decision:
    """The masks and new values that a recipe makes, and the steps that made them."""

    outcomes: list[StepOutcome] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    """Every tensor that a step touched, by name."""
    masks: dict[str, Tensor] = field(default_factory=dict)
    """What is left alive of each: bool, the tensor's shape."""
    values: dict[str, Tensor] = field(default_factory=dict)
    """New values of those that were reconstructed, the masked ones included."""
    history: dict[str, list[Step]] = field(default_factory=dict)
    """The steps that touched each, in order."""
    cut: Cut = Cut()
    """The layers and tokens that are taken out."""

    def begin(self, matched: MatchedStep) -> None:
        """Know the tensors of a step that makes masks, and put it into their history."""
        for name in dict.fromkeys(target.name for target in matched.targets):
            self.history.setdefault(name, []).append(matched.step)
        for target in matched.targets:
            self.targets[target.name] = target
            if target.mask is not None and target.name not in self.masks:
                self.masks[target.name] = target.mask != 0

    def take_out(self, cut: Cut, targets: Iterable[Target]) -> None:
        """Take out layers, and forget what is known of their tensors."""
        self.cut |= cut
        for target in targets:
            for known in (self.targets, self.masks, self.values, self.history):
                known.pop(target.name, None)

    def keep_rows(self, cut: Cut, targets: Iterable[Target]) -> None:
        """Take out tokens, and keep only the other rows of what is known of the tensors that have a row for each."""
        self.cut |= cut
        kept = cut.kept
        for target in targets if kept is not None else ():
            for known in (self.masks, self.values):
                if target.name in known:
                    known[target.name] = known[target.name][kept]

    def alive(self, target: Target, rows: Tensor | None = None) -> int:
        """Count what is alive of a tensor, or of some of its rows; the mask with which it came counts too."""
        mask = self.masks.get(target.name, target.mask)
        if mask is None:
            return target.parameter.numel() if rows is None else len(rows) * target.parameter[0].numel()
        return count_true((mask if rows is None else mask[rows]) != 0)

    def now(self, unit: AnyUnit) -> AnyUnit:
        """Return a unit with the values that its tensors have by now."""
        return replace(unit, targets=tuple(map(self._target_now, unit.targets)))

    def _target_now(self, target: Target) -> Target:
        values = self.values.get(target.name)
        return target if values is None else replace(target, parameter=nn.Parameter(values, requires_grad=False))

    def current(self, target: Target) -> Tensor | None:
        """Return what a step may prune of a tensor: what is alive, in the rows that are meant; None for everything."""
        mask, rows = self.masks.get(target.name), target.row_mask()
        if rows is None:
            return mask
        return rows.expand(target.parameter.shape).contiguous() if mask is None else mask & rows

    def count_alive(self, targets: Sequence[Target]) -> list[int]:
        """Count what steps may still prune of tensors."""

        def count(target: Target) -> int:
            mask = self.current(target) if target.name in self.masks else None
            return math.prod(target.shape) if mask is None else count_true(mask)

        sizes = (mask.numel() for target in targets if (mask := self.masks.get(target.name)) is not None)
        return choose_map(sizes)(count, targets)

    def put(self, target: Target, mask: Tensor, known_useful: bool) -> bool:
        """Put a step's mask, which keeps nothing outside the rows that are meant, in the place of the one before.

        Return whether that removes a value that is not zero, which is not looked up where it is known of the step.
        """
        rows, old = target.row_mask(), self.masks.get(target.name)
        if rows is not None:
            mask = mask | (~rows if old is None else old & ~rows)
        self.masks[target.name] = mask
        return known_useful or _loses_values(self._target_now(target), old, mask)


def _loses_values(target: Target, old: Tensor | None, new: Tensor) -> bool:
    lost = ~new if old is None else old & ~new
    return bool((lost & (target.parameter.detach() != 0)).any())


def groups_of(matched: MatchedStep, units: Sequence[Unit], decision: Decision) -> list[Groups]:
    """Find the groups that are alive in each unit, whose values are those by now."""
    counts = iter(decision.count_alive([target for unit in units for target in unit.targets]))
    return [
        matched.granularity.groups(
            unit, [decision.current(target) for target in unit.targets], list(islice(counts, len(unit.targets)))
        )
        for unit in units
    ]


def keep_by_scores(
    matched: MatchedStep,
    units: Sequence[Unit],
    groups: Sequence[Groups],
    generator: torch.Generator,
    statistics: Iterable[Statistics],
) -> list[Tensor]:
    """Score the groups of each unit, and rank them; return which are kept. `statistics` are taken one by one."""
    amounts = matched.scope.amounts(matched.step, groups, units)
    return matched.scope.keep(groups, _scores(matched, groups, amounts, generator, statistics), amounts)


def _scores(
    matched: MatchedStep,
    groups: Sequence[Groups],
    amounts: Sequence[Amount],
    generator: torch.Generator,
    statistics: Iterable[Statistics],
) -> Iterator[TensorScores]:
    for group, amount, known in zip(groups, amounts, statistics, strict=False):
        if matched.method.draws and not np.any(amount):  # torch draws no random numbers where nothing is pruned
            yield group.unscored()
        else:
            yield group.scores(matched.method, matched.options, generator, known)


def mask_by_torch_class(matched: MatchedStep, decision: Decision, generator: torch.Generator) -> bool:
    """Let a subclass of torch's BasePruningMethod make the masks, as torch's PruningContainer does.

    Return whether that removes a value that is not zero.
    """
    useful = False
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    for unit in matched.units:
        (target,) = decision.now(unit).targets
        weight, mask = target.parameter.detach(), decision.current(target)
        old = torch.ones_like(weight, dtype=torch.bool) if mask is None else mask
        new = make_mask(matched.method, target.label, matched.step, matched.options, weight, old, seed)
        useful |= decision.put(target, new, useful)
    return useful
