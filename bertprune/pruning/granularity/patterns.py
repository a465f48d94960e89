"""N of each M entries along the input: the pattern is its own amount, and ranks within each M."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import RecipeError
from ...model.targets import Target
from ..rank import TensorScores, exact_dtype, refuse_nan
from .elements import ElementGroups, Elements
from .groups import Unit


class Patterns(Elements):
    """N:M keeps the best N of each M neighbours of a row. Source: Mishra et al., arXiv:2104.08378."""

    def __init__(self, kept: int, of: int) -> None:
        """Take N and M."""
        self.kept, self.of = kept, of

    def check(self, method: str, target: Target) -> None:
        """Refuse what is not a matrix, and a width that M does not divide. Raises RecipeError."""
        super().check(method, target)
        shape = tuple(target.parameter.shape)
        if len(shape) != 2 or shape[1] % self.of:
            raise RecipeError(
                "{method}: {kept}:{of} needs matrices whose width {of} divides; {tensor} has the shape {shape}",
                code="prune.pattern_shape", method=method, kept=self.kept, of=self.of, tensor=target.label, shape=shape,
            )  # fmt: skip

    def groups(self, unit: Unit, masks: Sequence[Tensor | None], alive: Sequence[int]) -> "PatternGroups":
        """Make each living entry a group."""
        return PatternGroups(unit.targets[0], masks[0], alive[0], self.kept, self.of)


@dataclass(frozen=True)
class PatternGroups(ElementGroups):
    """The living entries of one tensor, of which N of each M neighbours stay."""

    kept: int
    of: int

    def keep_pattern(self, scores: TensorScores) -> Tensor:
        """Return which scores are kept, flat; of equal scores the first go, and what is masked goes before all."""
        values = torch.from_numpy(scores.of(scores.values, exact_dtype([scores]))).to(scores.values.device)
        alive = torch.ones_like(values, dtype=torch.bool) if scores.alive is None else scores.alive
        refuse_nan(scores, bool(values[alive].isnan().any()))
        return self.keep_best(values.view(-1, self.of), alive.view(-1, self.of)).flatten()

    def keep_best(self, scores: Tensor, alive: Tensor) -> Tensor:
        """Return which of each M scores are kept, (rows × M), given which are alive."""
        order = scores.masked_fill(~alive, -torch.inf).argsort(dim=1, stable=True)
        return torch.ones_like(alive).scatter_(1, order[:, : self.of - self.kept], False) & alive
