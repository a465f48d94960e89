"""Drop single entries."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ..model.targets import Target
from ..parallel import shared
from .masked import masked
from .plan import Plan, amount
from .rank import drop_lowest, drop_lowest_of_each
from .scores import Scores


def drop_elements(
    made: Plan, masks: dict[str, Tensor], alive: Mapping[str, int], generator: torch.Generator
) -> list[tuple[None, None]]:
    """Run a step of a method that removes single entries, and keep the new masks in `masks`.

    `alive` counts what is alive in each target before. Returns a pair of None a target, which has no slices.
    Raises RecipeError.
    """

    def scores(target: Target, wanted: int) -> Scores:
        return _scores(made, target, masks.get(target.name), generator, wanted)

    flat: Iterable[Tensor]
    if made.step.scope == "global":
        wanted = amount(made.step, sum(alive.values()), "all selected tensors together")
        flat = drop_lowest([scores(target, wanted) for target in made.targets], wanted)
    else:
        amounts = [amount(made.step, alive[target.name], target.name) for target in made.targets]
        jobs = ((scores(target, wanted), wanted) for target, wanted in zip(made.targets, amounts, strict=True))
        flat = drop_lowest_of_each(jobs, shared(target.parameter.numel() for target in made.targets))
    masks.update({t.name: mask.view(t.parameter.shape) for t, mask in zip(made.targets, flat, strict=True)})
    return [(None, None)] * len(made.targets)


def _scores(made: Plan, target: Target, mask: Tensor | None, generator: torch.Generator, wanted: int) -> Scores:
    """Prepare the scores of a tensor: to be made piece by piece where the rule allows it, whole elsewhere."""
    weight = target.parameter.detach()
    alive = None if mask is None else mask.reshape(-1)
    if not wanted and made.method.wants("generator"):  # torch does not draw where nothing goes
        return Scores(target.name, weight.reshape(-1), alive)
    if made.method.elementwise:
        return Scores(target.name, weight.reshape(-1), alive, made.method.piecewise(target.name, made.options))
    living = weight if mask is None else masked(weight, mask)
    scores = made.method.score(target.name, living, generator=generator, mask=mask, **made.options)
    return Scores(target.name, scores.reshape(-1), alive)
