"""Plans whose small form transformers loads alone: as many neurons in every layer, all heads, perhaps fewer layers."""

import math

from ..errors import RecipeError
from ..parallel import Progress, one_of
from ..recipe import Recipe
from ..step import Step
from .allocation import Counts, Space
from .budget import Budget, Costs
from .study import WAYS, Study, Way
from .walked import Ground, Walked

_DEPTHS = 3
"""So many numbers of layers are tried, from the largest that meets the budget."""
_BISECTIONS = 10
_CLOSER = 0.9
_TRIES = 4


def plan_plain(budget: Budget, study: Study, space: Space, costs: Costs, ground: Ground, progress: Progress) -> Walked:
    """Return the recipe that drifts least within the budget, run. Raises RecipeError where it cannot be met."""
    neurons = [number for number, fine in zip(space.numbers, space.fine, strict=True) if fine]
    if len(set(neurons)) > 1:
        raise RecipeError(
            "loads='plain' needs layers with the same number of neurons, and these have {numbers}",
            code="plan.unequal_layers", numbers=", ".join(map(str, neurons)),
        )  # fmt: skip
    plain = _Plain(study, space, costs, neurons[0])
    way = plain.way(budget)
    if budget.kind == "drift":
        return _least(budget, plain, way, ground, progress)
    recipes = plain.recipes(way)
    if not recipes:
        least = plain.least()
        if costs.no_layers is not None:
            raise costs.no_layers.within(
                "{kind}={amount:,} cannot be met while all layers stay: the least that can be reached so is {least}",
                code="plan.unreachable_with_layers", kind=budget.kind, amount=budget.amount,
                least=budget.shown(least, costs.total),
            )  # fmt: skip
        raise budget.unreachable(least, costs.total)
    return ground.best(recipes, progress)


class _Plain:
    """The numbers of neurons and layers that may go."""

    def __init__(self, study: Study, space: Space, costs: Costs, neurons: int) -> None:
        self.study, self.space, self.costs, self.neurons = study, space, costs, neurons
        self.layers = sorted(costs.layers.values())
        """What each layer costs that may go, the least first, so that a budget is met whichever goes."""
        fine = [cost for cost, fine in zip(space.costs, space.fine, strict=True) if fine]
        self.one_of_each = sum(fine)
        self.dearest = max(fine)

    def way(self, budget: Budget) -> Way:
        """Return the way in which the same neurons in each layer cost least, put together."""
        count = self._needed(0)
        if budget.kind == "drift" or count is None:
            count = self.neurons // 2
        losses = self.study.tries.losses
        lost = {way: float(losses(self.study.whole(way, self.counts(count))).mean()) for way in WAYS}
        return min(WAYS, key=lost.__getitem__)

    def drift(self, way: Way, count: int) -> float:
        """Return how far the answers drift with so many neurons of every layer less, put together."""
        return float(self.study.tries.drifts(self.study.whole(way, self.counts(count))).mean())

    def counts(self, count: int) -> Counts:
        """Return the allocation that takes so many neurons of every layer."""
        return tuple(count if fine else 0 for fine in self.space.fine)

    def recipes(self, way: Way) -> list[Recipe]:
        """Return a recipe for each of the largest numbers of layers that meet the budget."""
        found: list[Recipe] = []
        for gone in range(max(1, len(self.layers))):
            count = self._needed(gone)
            if count is not None and len(found) < _DEPTHS:
                found.append(self.recipe(way, count, gone))
        return found

    def recipe(self, way: Way, count: int, gone: int = 0) -> Recipe:
        """Write a recipe: layers go first."""
        steps = [Step(method="layer_change", granularity="layer", count=gone)] if gone else []
        if count:
            steps.append(Step(method=way.method, granularity="neuron", count=count, reconstruct=way.reconstruct))
        return Recipe(steps=tuple(steps))

    def least(self) -> float:
        """Return the least that can be reached."""
        gone = max(0, len(self.layers) - 1)
        stay = self.one_of_each - gone * self.dearest
        return self.costs.total - sum(self.layers[:gone]) - (self.neurons - 1) * stay

    def _needed(self, gone: int) -> int | None:
        """Return how many neurons of each layer go, beside so many layers; None where these are not enough."""
        left = self.space.need - sum(self.layers[:gone])
        count = max(0, math.ceil(left / (self.one_of_each - gone * self.dearest)))
        return count if count < self.neurons else None


def _least(budget: Budget, plain: _Plain, way: Way, ground: Ground, progress: Progress) -> Walked:
    """Return the recipe with the fewest neurons whose answers drift no further. Raises RecipeError."""
    wanted, nearest = budget.amount, math.inf
    for number in range(_TRIES):
        within = one_of(progress, number, _TRIES)
        low, high = 0, plain.neurons
        while high - low > max(1, plain.neurons >> _BISECTIONS):
            middle = (low + high) // 2
            low, high = (middle, high) if plain.drift(way, middle) <= wanted else (low, middle)
        if not low:
            break
        walked = ground.walk(plain.recipe(way, low), within)
        if walked.drift <= budget.amount:
            return walked
        nearest = min(nearest, walked.drift)
        wanted *= _CLOSER * budget.amount / walked.drift
    raise budget.too_far(nearest)
