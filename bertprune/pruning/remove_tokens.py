"""Take tokens out: those that the texts use least, with what no kept token is merged from."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import RecipeError
from ..model.cuts import Cut
from ..model.tokens import fixed_tokens
from ..step import Step
from .choose import Decision
from .outcomes import StepOutcome, TensorOutcome, TokensOutcome
from .steps import MatchedStep

if TYPE_CHECKING:
    from ..checkpoint.vocabulary import Vocabulary
    from ..data.vocabulary import Reading


def remove_tokens(
    matched: MatchedStep, decision: Decision, generator: torch.Generator, model: nn.Module, reading: "Reading"
) -> tuple[StepOutcome, "Reading"]:
    """Run a step that removes tokens, and take them out of the decision; return the texts as they then read."""
    (unit,) = matched.units
    groups = matched.granularity.groups(unit, [], [])
    counts = reading.counts(groups.alive)
    amount = int(matched.scope.amounts(matched.step, [groups], [unit])[0])
    scores = groups.scores(matched.method, matched.options, generator, {"counts": torch.from_numpy(counts)})
    order = _order(scores.values.double().numpy(force=True), reading.vocabulary)
    free = np.ones(groups.alive, dtype=bool)
    free[[one for one in reading.vocabulary.stay | fixed_tokens(model) if one < groups.alive]] = False
    gone = _going(order, free, amount, matched.step, reading.vocabulary)
    kept = np.setdiff1d(np.arange(groups.alive), gone)
    after, changed = (reading, 0) if amount == 0 else reading.cut(kept)
    lost = TokensOutcome(len(gone), groups.alive, int((counts[gone] > 0).sum()), changed, len(reading.texts))
    cut = Cut(tokens=Cut.packed(torch.from_numpy(kept))) if amount else Cut()
    before = [decision.alive(one) for one in unit.targets]
    left = [decision.alive(one, torch.from_numpy(kept)) for one in unit.targets]
    outcome = StepOutcome(
        matched.step,
        tuple(
            TensorOutcome(one.name, one.parameter.numel(), alive, alive - rest)
            for one, alive, rest in zip(unit.targets, before, left, strict=True)
        ),
        matched.method,
        cut=cut,
        tokens=lost,
    )
    decision.keep_rows(cut, unit.targets)
    return outcome, after


def _order(scores: NDArray[np.float64], vocabulary: "Vocabulary") -> NDArray[np.int64]:
    """Order tokens, first those that go first: by score, then the higher id; a part never before what is made of it."""
    worth, place = scores.copy(), np.arange(len(scores))
    length = np.zeros(len(scores), dtype=np.int64)
    for number, size in vocabulary.lengths.items():
        length[number] = size
    by_length = sorted(vocabulary.parts, key=vocabulary.lengths.__getitem__)
    for whole in by_length:
        place[whole] = max(place[whole], *(place[part] for part in vocabulary.parts[whole]))
    for whole in reversed(by_length):
        for part in vocabulary.parts[whole]:
            worth[part] = max(worth[part], worth[whole])
    return np.lexsort((-length, -place, worth))


def _going(
    order: NDArray[np.int64], free: NDArray[np.bool_], amount: int, step: Step, vocabulary: "Vocabulary"
) -> NDArray[np.int64]:
    """Return the first tokens in the order that may go. Raises RecipeError where there are too few."""
    stay = set(np.flatnonzero(~free).tolist())
    waiting = list(stay)
    while waiting:  # what a token that stays is merged from stays too
        for part in vocabulary.parts.get(waiting.pop(), ()):
            if part not in stay:
                stay.add(part)
                waiting.append(part)
    going = [one for one in order.tolist() if one not in stay]
    if amount > len(going):
        raise RecipeError(
            "{step}: cannot remove {amount:,} tokens: {stay:,} of {all:,} always stay (special and added ones, single"
            " characters and bytes, and what they cannot spell)",
            code="prune.tokens_stay", step=str(step), amount=amount, stay=len(stay), all=len(order),
        )  # fmt: skip
    return np.array(sorted(going[:amount]), dtype=np.int64)
