"""Plans that take heads and neurons: until a model takes few enough MACs or bytes, or as few as a drift allows."""

from collections.abc import Iterator
from dataclasses import replace

from ..errors import RecipeError
from ..parallel import Progress, one_of, part_of
from ..pruning.granularity.coupled import CoupledGroups
from ..pruning.tries import Tries
from ..recipe import Recipe
from ..selection import Selection
from ..step import Step
from .allocation import Space
from .budget import Budget, Costs, Loads
from .plain import plan_plain
from .search import Candidate, Search
from .study import WAYS, Study, Way
from .walked import Ground, Walked

_BISECTIONS = 8
"""How often a budget of MACs is halved in the search for the least that a drift allows."""
_CLOSER = 0.9
"""How much less may drift what is put together, where the pruned model drifted too far."""
_TRIES = 4


def plan_groups(
    budget: Budget, loads: Loads, tries: Tries, ground: Ground, rounds: int, deadline: float | None, progress: Progress
) -> Walked:
    """Return the recipe that loses least within the budget, run. Raises RecipeError where it cannot be met."""
    study = Study(tries, ground.model, ground.checkpoint.missing, ground.seed)
    space, costs = _space(budget, study, ground)
    if loads == "any" and budget.kind != "drift" and not space.enough(space.most):
        raise budget.unreachable(costs.total - space.saved(space.most), costs.total)
    if budget.kind != "drift" and space.need <= 0:
        raise RecipeError(
            "{kind}={amount:,} is not below what the model already has, {total}; give less",
            code="plan.nothing_to_do", kind=budget.kind, amount=budget.amount,
            total=budget.shown(costs.total, costs.total),
        )  # fmt: skip
    study.collect(part_of(progress, 0.0, 0.25))
    rest = part_of(progress, 0.25, 1.0)
    if loads == "plain":
        return plan_plain(budget, study, space, costs, ground, rest)
    if budget.kind == "drift":
        return _least_macs(budget, study, space, costs, ground, rest)
    search = Search(study, space)
    found = search.explore(rounds, deadline, part_of(rest, 0.0, 0.55))
    return ground.walk(recipe_of(study, found), part_of(rest, 0.55, 1.0))


def _space(budget: Budget, study: Study, ground: Ground) -> tuple[Space, Costs]:
    groups = [part.groups for part in study.parts]
    coupled = [one.unit.coupled for one in groups if isinstance(one, CoupledGroups)]
    costs = Costs.of(budget.kind, ground, coupled)
    need = 0.0 if budget.kind == "drift" else budget.need(costs.total)
    fine = tuple(one.kind == "neuron" for one in coupled)
    return Space(tuple(one.alive for one in groups), costs.each, fine, need), costs


def _least_macs(budget: Budget, study: Study, space: Space, costs: Costs, ground: Ground, progress: Progress) -> Walked:
    """Return the recipe that takes the fewest MACs of those whose answers drift no further. Raises RecipeError."""
    wanted, nearest, known = budget.amount, float("inf"), Search(study, space)
    for number in range(_TRIES):
        within = one_of(progress, number, _TRIES)
        found = _smallest(wanted, known, costs, part_of(within, 0.0, 0.5))
        if found is None:
            break
        walked = ground.walk(recipe_of(study, found), part_of(within, 0.5, 1.0))
        if walked.drift <= budget.amount:
            return walked
        nearest = min(nearest, walked.drift)
        wanted *= _CLOSER * budget.amount / walked.drift
    raise budget.too_far(nearest)


def _smallest(wanted: float, known: Search, costs: Costs, progress: Progress) -> Candidate | None:
    """Return the allocation with the fewest MACs that drifts no further than wanted, put together."""
    low, high, best = 0.0, known.space.saved(known.space.most) / costs.total, None
    ways: tuple[Way, ...] = WAYS
    for number in range(_BISECTIONS):
        middle = (low + high) / 2
        search = replace(known, space=known.space.of(middle * costs.total))
        found = search.begin(one_of(progress, number, _BISECTIONS), ways)
        if found is not None and found.drift <= wanted:
            low, best, ways = middle, found, (found.way,)
        else:
            high = middle
    return best


def recipe_of(study: Study, candidate: Candidate) -> Recipe:
    """Write an allocation as steps: the neurons of all layers first, and then the heads, from the bottom to the top."""
    kinds = [part.matched.step.granularity for part in study.parts]
    steps = []
    for kind in ("neuron", "head"):
        counts = {
            part.layer: count
            for part, own, count in zip(study.parts, kinds, candidate.counts, strict=True)
            if own == kind
        }
        steps += list(_steps(str(kind), candidate.way, counts))
    return Recipe(steps=tuple(steps))


def _steps(kind: str, way: Way, counts: dict[int, int]) -> Iterator[Step]:
    """Yield a step for all layers where they lose alike, and one for each run of layers that do elsewhere."""
    runs: list[tuple[int, list[int]]] = []
    for layer, count in sorted(counts.items()):
        if runs and runs[-1][0] == count:
            runs[-1][1].append(layer)
        else:
            runs.append((count, [layer]))
    for count, layers in runs:
        if count:
            select = Selection() if len(runs) == 1 else Selection(layers=tuple(layers))
            yield Step(method=way.method, granularity=kind, count=count, reconstruct=way.reconstruct, select=select)
