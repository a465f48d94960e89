"""`bp.load`: a model of your own from whatever holds one."""

from pathlib import Path
from typing import TYPE_CHECKING

from .checkpoint import Checkpoint

if TYPE_CHECKING:
    from torch import nn


def load(folder: str | Path) -> "nn.Module":
    """Load an export, or any other checkpoint, as a model.

    A pruned model comes back with its hooks and masks, so that training or further pruning can continue: an export in
    masked form with its history, the state dict of a model pruned by plain torch with hooks that name no step. A baked
    export comes back plain. No code in the folder is run.

    Args:
        folder: What `export` wrote, or anything that `Checkpoint.open` opens.

    Returns:
        A transformers model of your own in float32 and eval mode.

    Raises:
        CheckpointError: The folder cannot be found, read or trusted.

    Warns:
        MissingTensorsWarning: The checkpoint lacks tensors that its architecture expects.

    Example:
        >>> import bertprune as bp
        >>> type(bp.load("demo")).__name__
        'BertForSequenceClassification'
    """
    return Checkpoint.open(folder).load()
