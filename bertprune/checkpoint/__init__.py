"""Checkpoints: where weights come from, what they are, and the models built from them."""

from .checkpoint import Checkpoint
from .headers import Facts, TensorFact
from .source import EMBEDDED, default

DEFAULT = default()
"""The name of the checkpoint to begin with."""

__all__ = ["DEFAULT", "EMBEDDED", "Checkpoint", "Facts", "TensorFact"]
