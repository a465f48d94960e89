"""Drop whole slices: rows, columns, channels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ..model.targets import Target
from ..parallel import in_turn
from .masked import masked
from .plan import Plan, amount
from .rank import drop_lowest, drop_lowest_of_each
from .scores import Scores, count_true


def drop_slices(made: Plan, masks: dict[str, Tensor], generator: torch.Generator) -> list[tuple[int, int]]:
    """Run a step of a method that removes slices, and keep the new masks in `masks`.

    Slices in which nothing is alive are neither scored nor counted, as in torch. Returns how many were alive and how
    many went, target by target. Raises RecipeError.
    """
    dim, together = made.options["dim"], made.step.scope == "global"
    living = [_living(target, masks.get(target.name), dim) for target in made.targets]
    numbers = [len(places) for places in living]
    if together:
        total = amount(made.step, sum(numbers), f"all selected tensors together (slices along dim {dim})")
        wanted = [total] * len(numbers)
    else:
        names = [f"{target.name} (slices along dim {dim})" for target in made.targets]
        wanted = [amount(made.step, number, name) for number, name in zip(numbers, names, strict=True)]
    scores = _scores(made, masks, living, wanted, generator)
    kept = drop_lowest(scores, total) if together else drop_lowest_of_each(zip(scores, wanted, strict=True), in_turn)
    for target, places, keep in zip(made.targets, living, kept, strict=True):
        masks[target.name] = _left(masks.get(target.name), dim, target, places, keep)
    return [(number, number - count_true(keep)) for number, keep in zip(numbers, kept, strict=True)]


def _living(target: Target, mask: Tensor | None, dim: int) -> Tensor:
    """Return the indices along `dim` where something is alive."""
    shape = target.parameter.shape
    if mask is None:
        return torch.arange(shape[dim], device=target.parameter.device)
    others = [axis for axis in range(len(shape)) if axis != dim % len(shape)]
    return mask.any(dim=others).nonzero().flatten()


def _scores(
    made: Plan, masks: Mapping[str, Tensor], living: list[Tensor], wanted: list[int], generator: torch.Generator
) -> list[Scores]:
    draws = made.method.wants("generator")

    def scores(target: Target, places: Tensor, number: int) -> Scores:
        if draws and not number:  # torch does not draw where nothing goes
            return Scores(target.name, torch.empty(len(places)))
        return _slice_scores(made, target, masks.get(target.name), places, generator)

    # one after another: torch brings its own threads, and a generator must be drawn from in order
    return [scores(*job) for job in zip(made.targets, living, wanted, strict=True)]


def _slice_scores(
    made: Plan, target: Target, mask: Tensor | None, places: Tensor, generator: torch.Generator
) -> Scores:
    dim = made.options["dim"]
    weight = target.parameter.detach()
    if mask is not None:
        weight = masked(weight, mask)
        mask = mask.index_select(dim, places)
    if len(places) < weight.shape[dim]:
        weight = weight.index_select(dim, places)
    return Scores(target.name, made.method.score(target.name, weight, generator=generator, mask=mask, **made.options))


def _left(mask: Tensor | None, dim: int, target: Target, places: Tensor, keep: Tensor) -> Tensor:
    """Take the slices at some of the places out of a mask; without one, a view says it for every value of a slice."""
    shape = target.parameter.shape
    kept = keep
    if len(places) < shape[dim]:
        kept = torch.ones(shape[dim], dtype=torch.bool, device=places.device)
        kept[places[~keep]] = False
    along = kept.view(-1, *[1] * (len(shape) - 1 - dim % len(shape)))
    return along.expand(shape) if mask is None else mask & along
