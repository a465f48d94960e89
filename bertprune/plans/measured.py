"""Drifts as figures with intervals, and the roles that plans and scans are about."""

from typing import get_args

import numpy as np
from torch import Tensor

from ..evaluation.metrics import Estimate, bootstrap, percentiles, weighted_mean
from ..model.coupled import COLUMNS, ROWS
from ..selection import Role

ROLES: tuple[Role, ...] = tuple(
    role for role in get_args(Role) if role in {*COLUMNS.values(), *ROWS["head"], *ROWS["neuron"]}
)
"""The parts of an encoder's layer that have a matrix."""


def mean_of(drifts: Tensor, seed: int) -> Estimate:
    """Return the mean of drifts, with the interval of its bootstrap over the answers."""
    values = drifts.numpy(force=True).astype(np.float64)
    draws = bootstrap(weighted_mean(values), np.ones(len(values), dtype=np.int64), seed)
    return percentiles(float(values.mean()), draws[:, 0])


def clearly_less(losses: Tensor, others: Tensor) -> bool:
    """Return whether the same answers lose less than elsewhere: in the mean by more than two standard errors."""
    less = others - losses
    error = float(less.std()) / len(less) ** 0.5 if len(less) > 1 else 0.0
    return float(less.mean()) > 2 * error
