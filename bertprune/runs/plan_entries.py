"""Plans that take single entries of the encoder's matrices: a share of all, where they are missed least."""

import math
from collections.abc import Iterator

import torch

from ..parallel import Progress, part_of
from ..pruning.steps import match_steps
from ..pruning.tries import Part, Tries, values_of
from ..recipe import Recipe
from ..selection import Role, Selection
from ..step import Step
from .allocation import choose
from .budget import Budget
from .measured import ROLES
from .walked import Ground, Walked

_METHOD = "obs"
_OFFSETS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
"""By how much the share of one matrix may differ from that of all."""
_MOST = 0.98
_UNITS = 4000
"""In so many units is counted what has to go."""

_Place = tuple[int, Role]


def plan_entries(budget: Budget, tries: Tries, ground: Ground, progress: Progress) -> Walked:
    """Return the recipe that drifts least at a sparsity, run: the same share of every matrix, or what each bears."""
    uniform = Recipe(steps=(_step(budget.amount, Selection(roles=ROLES)),))
    sizes, drifts = _measured(budget.amount, tries, ground, part_of(progress, 0.0, 0.4))
    shares = _spread(budget.amount, sizes, drifts)
    by_parts = Recipe(steps=tuple(_steps(shares)))
    return ground.best([uniform, by_parts], part_of(progress, 0.4, 1.0))


def _step(share: float, select: Selection) -> Step:
    return Step(method=_METHOD, fraction=share, reconstruct=True, select=select)


def _measured(
    share: float, tries: Tries, ground: Ground, progress: Progress
) -> tuple[dict[_Place, int], dict[_Place, list[tuple[float, float]]]]:
    """Return the size of each role in each layer, and how far answers drift with some shares of it alone."""
    step = Step(method=_METHOD, fraction=1.0, select=Selection(roles=ROLES))
    (matched,) = match_steps(ground.model, Recipe(steps=(step,)), ground.checkpoint.missing)
    layers: dict[int, list[Part]] = {}
    for part in tries.parts(matched):
        layers.setdefault(part.layer, []).append(part)
    shares = sorted({min(_MOST, max(0.0, share + offset)) for offset in _OFFSETS})
    sizes: dict[_Place, int] = {}
    drifts: dict[_Place, list[tuple[float, float]]] = {}
    for done, (layer, parts) in enumerate(layers.items()):
        progress(done / len(layers), f"layer {layer}, matrix by matrix")
        known = dict(zip(parts, tries.inputs(parts), strict=True))
        for role in ROLES:
            here = [part for part in parts if tries.name_of(part) == role]
            if not here:
                continue
            sizes[layer, role] = sum(part.groups.alive for part in here)
            counts = [[round(one * part.groups.alive) for one in shares] for part in here]
            values = [
                values_of(part, known[part], each, torch.Generator(), quick=True)
                for part, each in zip(here, counts, strict=True)
            ]
            each = zip(shares, zip(*values, strict=True), strict=True)
            drifts[layer, role] = [(one, tries.drift_with(here, new)) for one, new in each]
    return sizes, drifts


def _spread(
    share: float, sizes: dict[_Place, int], drifts: dict[_Place, list[tuple[float, float]]]
) -> dict[_Place, float]:
    """Choose a share for each place, so that as many go in all, and the sum of the drifts is least."""
    scale = _UNITS / (share * sum(sizes.values()))
    options = [
        [(math.floor(one * sizes[place] * scale + 1e-9), drift) for one, drift in each]
        for place, each in drifts.items()
    ]
    chosen = choose(options, _UNITS - len(sizes))  # each may be rounded down by one
    assert chosen is not None  # all may lose the share itself
    found = {place: drifts[place][at][0] for place, at in zip(drifts, chosen, strict=True)}
    return _exactly(share, sizes, found)


def _exactly(share: float, sizes: dict[_Place, int], shares: dict[_Place, float]) -> dict[_Place, float]:
    """Shift all shares alike, until as many go in all as are asked for."""
    for _ in range(50):
        missing = share - sum(shares[place] * size for place, size in sizes.items()) / sum(sizes.values())
        if abs(missing) < 1e-9:
            break
        shares = {place: min(1.0, max(0.0, one + missing)) for place, one in shares.items()}
    return shares


def _steps(shares: dict[_Place, float]) -> Iterator[Step]:
    """Yield the steps from the bottom to the top; roles of a layer that lose alike go together."""
    together: dict[tuple[int, float], list[Role]] = {}
    for (layer, role), share in shares.items():
        together.setdefault((layer, round(share, 6)), []).append(role)
    for (layer, share), roles in together.items():
        if share > 0:
            yield _step(share, Selection(roles=tuple(roles), layers=(layer,)))
