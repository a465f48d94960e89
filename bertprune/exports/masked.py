"""The masked form read back: as a model to go on with, and as the parts that another export is made of."""

from pathlib import Path
from typing import Any

from torch import nn

from ..checkpoint import Checkpoint
from ..checkpoint.masked import MaskedFolder, is_masked, open_masked
from ..errors import CheckpointError
from ..reports.sparsity import sparsity
from .card import Origin
from .parts import Parts


def load(folder: str | Path) -> nn.Module:
    """Load an export: with hooks, masks and history where its form is masked, plain where it is baked.

    The model is float32, in eval mode and your own; training or pruning can go on from it. Any other checkpoint
    that `Checkpoint.open` knows loads too. No code of the folder is run. Raises CheckpointError.
    """
    return open_masked(folder).model() if is_masked(folder) else Checkpoint.open(folder).load()


def parts_of(opened: MaskedFolder, name: str) -> Parts:
    """Take a masked folder apart as if it were the run that made it. Raises CheckpointError."""
    told = {
        key: value for key, value in opened.report.items() if key not in ("form", "files", "source", "seed", "sparsity")
    }
    seed = opened.report.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise CheckpointError(f"{name}: report.json has no seed; the export is not whole")
    origin = _origin(opened.report.get("source"), name)
    # counted anew: what the report says may not be what the file holds
    report = sparsity(opened.model())
    return Parts(opened.checkpoint, opened.recipe, seed, opened.masks, origin, report, told)


def _origin(said: Any, name: str) -> Origin:
    try:
        origin = Origin(**said)
    except TypeError:
        raise CheckpointError(
            f"{name}: report.json does not say what the source was; the export is not whole"
        ) from None
    texts = (origin.name, origin.architecture, origin.model_type, origin.dtype)
    maybe = (origin.hub_id, origin.revision)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(text, str | None) for text in maybe):
        raise CheckpointError(f"{name}: report.json names the source with something that is no text")
    return origin
