"""`bertprune.load`: a folder becomes a model again."""

from pathlib import Path

from torch import nn

from ..checkpoint import Checkpoint
from ..checkpoint.masked import is_masked, open_masked


def load(folder: str | Path) -> nn.Module:
    """Load an export: with hooks, masks and history where its form is masked, plain where it is baked.

    The model is float32, in eval mode and your own; training or pruning can go on from it. Any other checkpoint
    that `Checkpoint.open` knows loads too. No code of the folder is run. Raises CheckpointError.
    """
    return open_masked(folder).model() if is_masked(folder) else Checkpoint.open(folder).load()
