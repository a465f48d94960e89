"""Checkpoints: where weights come from, what they are, and the models built from them."""

from .facts import Facts, TensorFact
from .opened import Checkpoint
from .sources import EMBEDDED, default

DEFAULT = default()
"""The name of the checkpoint to begin with."""

__all__ = ["DEFAULT", "EMBEDDED", "Checkpoint", "Facts", "TensorFact"]
