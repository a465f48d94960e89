"""Plans that take single entries of the encoder's matrices: a share of all, where they are missed least."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
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
_OFFSETS = (-0.15, 0.0, 0.15)
"""By how much the share of one matrix may differ from that of all."""
_BETWEEN = 3
"""Into so many pieces the loss between two of them is divided."""
_MOST = 0.98
_UNITS = 4000
"""In so many units is counted what has to go."""

_Place = tuple[int, Role]


def plan_entries(budget: Budget, tries: Tries, ground: Ground, progress: Progress) -> Walked:
    """Return the recipe that loses least at a sparsity, run: the same share of every matrix, or what each bears."""
    parts = _parts(tries, ground)
    missing = _missing(budget.amount, [(budget.amount, part.groups.alive) for part in parts])
    share = min(1.0, budget.amount + missing)
    matrices, losses = _measured(share, parts, tries, part_of(progress, 0.0, 0.4))
    uniform = Recipe(steps=(_step(share, Selection(roles=ROLES)),))
    by_parts = Recipe(steps=tuple(_steps(_rounded_up(share, matrices, _spread(share, matrices, losses)))))
    return ground.best([uniform, by_parts], part_of(progress, 0.4, 1.0))


def _parts(tries: Tries, ground: Ground) -> list[Part]:
    (matched,) = match_steps(
        ground.model, Recipe(steps=(Step(method=_METHOD, fraction=1.0, select=Selection(roles=ROLES)),)),
        ground.checkpoint.missing,
    )  # fmt: skip
    return tries.parts(matched)


def _missing(wanted: float, shares: list[tuple[float, int]]) -> float:
    """Return how much more of each matrix has to go, where shares of their sizes are rounded down in too many."""
    if sum(round(share * size) for share, size in shares) >= wanted * sum(size for _, size in shares):
        return 0.0
    return 0.5 / min(size for _, size in shares)


def _step(share: float, select: Selection) -> Step:
    return Step(method=_METHOD, fraction=share, reconstruct=True, select=select)


def _measured(
    share: float, every: list[Part], tries: Tries, progress: Progress
) -> tuple[dict[_Place, list[int]], dict[_Place, list[tuple[float, float]]]]:
    """Return the sizes of each role's matrices in each layer, and what answers lose with some shares of it alone."""
    layers: dict[int, list[Part]] = {}
    for part in every:
        layers.setdefault(part.layer, []).append(part)
    most = max(_MOST, share)
    shares = sorted({min(most, max(0.0, share + offset)) for offset in _OFFSETS})
    matrices: dict[_Place, list[int]] = {}
    losses: dict[_Place, list[tuple[float, float]]] = {}
    for done, (layer, parts) in enumerate(layers.items()):
        progress(done / len(layers), f"layer {layer}, matrix by matrix")
        known = dict(zip(parts, tries.inputs(parts), strict=True))
        for role in ROLES:
            here = [part for part in parts if tries.name_of(part) == role]
            if not here:
                continue
            matrices[layer, role] = [part.groups.alive for part in here]
            counts = [[round(one * part.groups.alive) for one in shares] for part in here]
            values = [
                values_of(part, known[part], each, torch.Generator(), quick=True)
                for part, each in zip(here, counts, strict=True)
            ]
            each = zip(shares, zip(*values, strict=True), strict=True)
            losses[layer, role] = _between([(one, tries.loss_with(here, new)) for one, new in each])
    return matrices, losses


def _between(measured: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Fill in shares between those that were measured: the root of the loss grows evenly from one to the next."""
    shares, roots = [share for share, _ in measured], [math.sqrt(loss) for _, loss in measured]
    finer = np.unique(np.concatenate([np.linspace(low, high, _BETWEEN + 1) for low, high in pairwise(shares)]))
    return [(float(one), float(root) ** 2) for one, root in zip(finer, np.interp(finer, shares, roots), strict=True)]


def _spread(
    share: float, matrices: dict[_Place, list[int]], losses: dict[_Place, list[tuple[float, float]]]
) -> dict[_Place, float]:
    """Choose a share for each place, so that as many go in all, and the sum of the losses is least."""
    sizes = {place: sum(each) for place, each in matrices.items()}
    scale = _UNITS / (share * sum(sizes.values()))
    options = [
        [(math.floor(one * sizes[place] * scale + 1e-9), loss) for one, loss in each] for place, each in losses.items()
    ]
    chosen = choose(options, _UNITS - len(sizes))  # each may be rounded down by one
    assert chosen is not None  # all may lose the share itself
    found = {place: losses[place][at][0] for place, at in zip(losses, chosen, strict=True)}
    return _exactly(share, sizes, found)


def _exactly(share: float, sizes: dict[_Place, int], shares: dict[_Place, float]) -> dict[_Place, float]:
    """Shift all shares alike, until as many go in all as are asked for."""
    for _ in range(50):
        missing = share - sum(shares[place] * size for place, size in sizes.items()) / sum(sizes.values())
        if abs(missing) < 1e-9:
            break
        shares = {place: min(1.0, max(0.0, one + missing)) for place, one in shares.items()}
    return shares


def _rounded_up(share: float, matrices: dict[_Place, list[int]], shares: dict[_Place, float]) -> dict[_Place, float]:
    """Take a little more of each matrix, where rounding would leave too many entries of all together."""
    missing = _missing(share, [(shares[place], size) for place, sizes in matrices.items() for size in sizes])
    return {place: min(1.0, one + missing) for place, one in shares.items()}


def _steps(shares: dict[_Place, float]) -> Iterator[Step]:
    """Yield the steps from the bottom to the top; roles of a layer that lose alike go together."""
    together: dict[tuple[int, float], list[Role]] = {}
    for (layer, role), share in shares.items():
        together.setdefault((layer, math.ceil(1e6 * share) / 1e6), []).append(role)
    for (layer, share), roles in together.items():
        if share > 0:
            yield _step(share, Selection(roles=tuple(roles), layers=(layer,)))
