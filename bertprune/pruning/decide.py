"""Decide what a recipe prunes: compute its masks without changing the model."""

import math
import warnings
from collections.abc import Sequence
from itertools import repeat
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import NoEffectWarning, RecipeError
from ..parallel import Progress, silent
from ..recipe import Recipe
from ..step import step_in_words
from .choose import Decision, groups_of, keep_by_scores, mask_by_torch_class
from .finite import refuse_unprunable
from .outcomes import Reconstruction, StepOutcome, TensorOutcome
from .rank import count_true
from .steps import MatchedStep, check_seed, match_steps, naming_step

if TYPE_CHECKING:
    from ..data.calibration import Batches
    from ..data.outputs import Output
    from .calibrated import Calibrator


def decide(
    model: nn.Module,
    recipe: Recipe,
    seed: int = 0,
    missing: frozenset[str] = frozenset(),
    progress: Progress = silent,
    batches: "Batches | None" = None,
    output: "Output | None" = None,
) -> Decision:
    """Compute the masks of a recipe on a model, from one generator, step by step.

    `batches` are calibration texts for the steps that read them, and `output` is how the model's answers are compared.
    Pure: neither the model nor the global random state is touched. Raises RecipeError.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = match_steps(model, recipe, missing)
    check_texts(recipe, steps, batches)
    refuse_unprunable({target.name: target.parameter for step in steps for target in step.targets})
    decision, calibrator = Decision(), _calibrator(model, steps, batches, output)
    for number, matched in enumerate(steps):
        share = number / len(steps)
        progress(share, str(matched.step))
        for name in dict.fromkeys(target.name for target in matched.targets):
            decision.history.setdefault(name, []).append(matched.step)
        for target in matched.targets:
            decision.targets[target.name] = target
            if target.mask is not None and target.name not in decision.masks:
                decision.masks[target.name] = target.mask != 0

        def within(done: float, words: str, share: float = share) -> None:
            progress(share + done / len(steps), words)

        with naming_step(recipe, number + 1):
            decision.outcomes.append(_run(matched, decision, generator, calibrator, within))
    progress(1.0, "masks computed")
    return decision


def _calibrator(
    model: nn.Module, steps: Sequence[MatchedStep], batches: "Batches | None", output: "Output | None"
) -> "Calibrator | None":
    if batches is None or not any(step.needs_texts for step in steps):
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
        warnings.warn(_no_effect(outcome), stacklevel=2)
    return outcome


def _no_effect(outcome: StepOutcome) -> NoEffectWarning:
    """Return the warning for a step that changes no output: it removes nothing, or only what is zero already."""
    if outcome.removed == 0:
        return NoEffectWarning("{step} pruned nothing", code="prune.no_effect", step=step_in_words(outcome.step))
    return NoEffectWarning(
        "{step} pruned only values that are zero already", code="prune.only_zeros", step=step_in_words(outcome.step)
    )


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
