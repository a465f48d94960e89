"""What a plan may spend: multiply-accumulates, bytes, drift, or weights that stay."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import RecipeError, SelectionError, shown
from ..model.coupled import Coupled
from ..model.layers import find_layers
from ..model.macs import encoder_macs, macs_per_group
from ..model.targets import Target
from ..selection import Selection
from .walked import Ground, bytes_of, bytes_per_group

Kind = Literal["macs", "bytes", "drift", "sparsity"]
Loads = Literal["any", "plain"]
_ROUNDING = 1e-9
"""What a budget keeps in reserve, so that no rounding exceeds it."""


@dataclass(frozen=True)
class Budget:
    """What is limited, and to how much."""

    kind: Kind
    amount: float

    @classmethod
    def of(cls, **given: Any) -> "Budget":
        """Return the one budget that is given. Raises RecipeError."""
        named = {name: amount for name, amount in given.items() if amount is not None}
        if len(named) != 1:
            raise RecipeError(
                "a plan has one budget: give one of {known}; given: {given}",
                code="plan.one_budget", known=", ".join(get_args(Kind)), given=", ".join(named) or "-",
            )  # fmt: skip
        ((name, amount),) = named.items()
        number = float(amount) if isinstance(amount, int | float) and not isinstance(amount, bool) else math.nan
        if name in ("macs", "sparsity") and not 0 < number < 1:
            raise RecipeError(
                "{name} is a share above 0 and below 1, such as 0.5, not {given}",
                code="plan.share", name=name, given=shown(amount),
            )  # fmt: skip
        if not 0 < number < math.inf:
            raise RecipeError(
                "{name} is a number above 0, not {given}", code="plan.number", name=name, given=shown(amount)
            )
        return cls(name, int(number) if name == "bytes" else number)  # type: ignore[arg-type]

    def need(self, total: float) -> float:
        """Return what has to be saved of a total."""
        stays = total * self.amount if self.kind == "macs" else self.amount
        return (total - stays) * (1 + _ROUNDING)

    def shown(self, cost: float, total: float) -> str:
        """Write a cost in the unit of the budget."""
        return f"{math.ceil(cost):,}" if self.kind == "bytes" else f"{math.ceil(1e4 * cost / total) / 1e4:g}"

    def unreachable(self, least: float, total: float) -> RecipeError:
        """Return the error for a budget below the least that a plan can reach."""
        return RecipeError(
            "{kind}={amount:,} cannot be met: the least that can be reached here is {least}",
            code="plan.unreachable", kind=self.kind, amount=self.amount, least=self.shown(least, total),
        )  # fmt: skip

    def too_far(self, least: float) -> RecipeError:
        """Return the error for a drift below the least that was reached, infinite where nothing was tried."""
        if not math.isfinite(least):
            return RecipeError(
                "drift={amount:g} cannot be met: whatever is pruned, the answers drift further; keep the whole model",
                code="plan.drift_too_small", amount=self.amount,
            )  # fmt: skip
        return RecipeError(
            "drift={amount:g} cannot be met: the least that was reached here is {least:.2g}; keep the model as it is",
            code="plan.drift_unreachable", amount=self.amount, least=least,
        )  # fmt: skip


def check_loads(given: Any) -> Loads:
    """Return what is a way to load. Raises RecipeError."""
    if given not in get_args(Loads):
        raise RecipeError(
            "loads is {known}, not {given}", code="plan.loads", known=" or ".join(get_args(Loads)), given=shown(given)
        )
    return given  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Costs:
    """What a model costs, and each head and neuron of it, in the unit of a budget."""

    total: float
    each: tuple[float, ...]
    """What one head or neuron costs, by part."""
    layers: Mapping[int, float]
    """What each layer costs that can be taken out."""
    no_layers: SelectionError | None
    """Why none can."""

    @classmethod
    def of(cls, kind: Kind, ground: Ground, parts: Sequence[Coupled]) -> "Costs":
        """Count bytes of the file, or MACs of texts of the mean length, in which a drift is paid for too."""
        found: Mapping[int, tuple[Target, ...]] = {}
        no_layers = None
        try:
            found = find_layers(ground.plain, Selection())[0]
        except SelectionError as error:
            no_layers = error
        if kind == "bytes":
            each = tuple(bytes_per_group(one, ground.checkpoint) for one in parts)
            layers = {
                number: float(sum(bytes_of(one.name, one.parameter.numel(), ground.checkpoint) for one in targets))
                for number, targets in found.items()
            }
            return cls(ground.small_bytes(ground.plain) + ground.header, each, layers, no_layers)
        each = tuple(ground.length * macs_per_group(one, ground.length) for one in parts)
        taken = dict.fromkeys(found, 0.0)
        for one, cost in zip(parts, each, strict=True):
            if one.layer in taken:
                taken[one.layer] += one.number * cost
        return cls(encoder_macs(ground.plain, ground.length), each, taken, no_layers)
