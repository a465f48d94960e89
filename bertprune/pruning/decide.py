"""Decide what a recipe prunes: compute its masks without changing the model."""

import math
import warnings
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import RecipeError
from ..model.cuts import without
from ..parallel import Progress, one_of, silent
from ..recipe import Recipe
from ..step import step_in_words
from ..undisturbed import undisturbed
from .choose import Decision, groups_of, keep_by_scores, mask_by_torch_class
from .finite import refuse_unprunable
from .outcomes import Reconstruction, StepOutcome, TensorOutcome, no_effect
from .rank import count_true
from .remove_layers import remove_layers
from .remove_tokens import remove_tokens
from .steps import MatchedStep, check_seed, match_steps, naming_step

if TYPE_CHECKING:
    from ..data.held_back import Batches
    from ..data.outputs import Output
    from ..data.vocabulary import Reading
    from .calibrated import Calibrator


@undisturbed()
def decide(
    model: nn.Module,
    recipe: Recipe,
    seed: int = 0,
    missing: frozenset[str] = frozenset(),
    progress: Progress = silent,
    batches: "Batches | None" = None,
    output: "Output | None" = None,
    reading: "Reading | None" = None,
) -> Decision:
    """Compute the masks of a recipe on a model, from one generator, step by step.

    `batches` are calibration texts for the steps that read them, and `output` is how the model's answers are compared;
    `reading` are all of the texts, by which tokens are counted. Pure: neither the model nor the global random state is
    touched. Raises RecipeError.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = match_steps(model, recipe, missing)
    check_texts(recipe, steps, batches)
    masking = [step for step in steps if not step.cuts]
    refuse_unprunable({target.name: target.parameter for step in masking for target in step.targets})
    decision, calibrator = Decision(), _calibrator(model, steps, batches, output)
    for number in range(len(steps)):
        matched, within = steps[number], one_of(progress, number, len(steps))
        within(0.0, str(matched.step))
        with naming_step(recipe, number + 1):
            if matched.removes_tokens:
                assert reading is not None
                outcome, reading = remove_tokens(matched, decision, generator, model, reading)
            else:
                run = remove_layers if matched.removes_layers else _run
                outcome = run(matched, decision, generator, calibrator, within)
            if matched.cuts and not outcome.cut:
                warnings.warn(no_effect(outcome), stacklevel=2)
        decision.outcomes.append(outcome)
        if outcome.cut:
            model = without(model, outcome.cut)
            steps[number + 1 :] = match_steps(model, recipe, missing, done=number + 1)
            if calibrator is not None:
                calibrator.remove(outcome.cut, reading)
    progress(1.0, "masks computed")
    return decision


def _calibrator(
    model: nn.Module, steps: Sequence[MatchedStep], batches: "Batches | None", output: "Output | None"
) -> "Calibrator | None":
    if batches is None or not any(step.needs_texts and not step.removes_tokens for step in steps):
        return None
    from ..data.outputs import output_of  # loads transformers, so only where texts are read
    from .calibrated import Calibrator

    return Calibrator(model, batches, output or output_of(model))


def check_texts(recipe: Recipe, steps: Sequence[MatchedStep], batches: "Batches | None") -> None:
    """Refuse steps that read calibration texts where there are none, or too few. Raises RecipeError."""
    for number, matched in enumerate(steps, start=1):
        with naming_step(recipe, number):
            if matched.needs_texts and batches is None:
                raise RecipeError(
                    "{step} needs calibration texts: a few hundred unlabelled ones, as calibration= (--calibrate FILE)",
                    code="calibration.needed", step=step_in_words(matched.step),
                )  # fmt: skip
            if matched.step.reconstruct and batches is not None and not any(batches.held_back):
                raise RecipeError(
                    "{step} holds back one text in five: give five calibration texts at least, better a few hundred",
                    code="calibration.too_few", step=step_in_words(matched.step),
                )  # fmt: skip


def _run(
    matched: MatchedStep,
    decision: Decision,
    generator: torch.Generator,
    calibrator: "Calibrator | None",
    progress: Progress,
) -> StepOutcome:
    """Run one step, score × granularity × scope, and put its targets' masks into the decision."""
    decision.begin(matched)
    before = decision.count_alive(matched.targets)
    slices: Sequence[tuple[int, int] | tuple[()]] = [()] * len(before)
    reconstructions: tuple[Reconstruction, ...] = ()
    if matched.method.makes_masks:
        useful = mask_by_torch_class(matched, decision, generator)
    elif matched.needs_texts:
        assert calibrator is not None
        useful, counted, reconstructions = calibrator.run(matched, decision, generator, progress)
    else:
        useful, counted = _mask_by_scores(matched, decision, generator)
    if not (matched.method.makes_masks or matched.granularity.single):
        slices = counted
    if calibrator is not None and not matched.needs_texts:
        calibrator.follow(matched, decision)
    after = decision.count_alive(matched.targets)
    results = zip(matched.targets, before, after, slices, strict=True)
    outcome = StepOutcome(
        matched.step,
        tuple(TensorOutcome(t.name, math.prod(t.shape), n, n - left, *counts) for t, n, left, counts in results),
        matched.method,
        reconstructions,
    )
    if not useful:
        warnings.warn(no_effect(outcome), stacklevel=2)
    return outcome


def _mask_by_scores(
    matched: MatchedStep, decision: Decision, generator: torch.Generator
) -> tuple[bool, list[tuple[int, int]]]:
    """Replace masks by ranking scores.

    Return whether that removes a value that is not zero; and, by tensor, how many groups were alive and are removed.
    """
    units = [decision.now(unit) for unit in matched.units]
    groups = groups_of(matched, units, decision)
    kept = keep_by_scores(matched, units, groups, generator, repeat({}))
    useful, slices = False, []
    for unit, group, keep in zip(units, groups, kept, strict=True):
        for target, mask in zip(unit.targets, group.masks(keep), strict=True):
            useful |= decision.put(target, mask, useful)
            slices.append((group.alive, group.alive - count_true(keep)))
    return useful, slices
