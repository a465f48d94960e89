"""Read the masked form back: as a model to go on with, and as the contents of another export."""

from pathlib import Path
from typing import Any

from torch import nn

from ..checkpoint import Checkpoint
from ..checkpoint.masked import MaskedFolder, is_masked, open_masked
from ..errors import CheckpointError
from ..reports.sparsity import sparsity
from .contents import Contents, Origin

_NOT_RECORD = ("form", "files", "source", "seed", "sparsity")
"""Keys of `report.json` that an export writes anew."""


def load(folder: str | Path) -> nn.Module:
    """Load an export, or any other checkpoint, as a model.

    A folder in masked form comes back with its hooks, masks and history, so that training or further pruning can
    continue; a baked one comes back plain. No code in the folder is run.

    Args:
        folder: What `export` wrote, or anything that `Checkpoint.open` opens.

    Returns:
        A transformers model of your own in float32 and eval mode.

    Raises:
        CheckpointError: The folder cannot be found, read or trusted.

    Example:
        >>> import bertprune as bp
        >>> type(bp.load("demo")).__name__
        'BertForSequenceClassification'
    """
    return open_masked(folder).model() if is_masked(folder) else Checkpoint.open(folder).load()


def contents_of_folder(opened: MaskedFolder) -> Contents:
    """Gather the contents of a masked folder, as those of the run that made it. Raises CheckpointError."""
    name, report = opened.checkpoint.name, opened.report
    seed = report.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise CheckpointError(
            "{name}: report.json has no seed; the export is damaged", code="exports.no_seed", name=name
        )
    # the sparsity is counted anew: what the report says may not be what the file holds
    return Contents(
        checkpoint=opened.checkpoint,
        recipe=opened.recipe,
        seed=seed,
        masks=opened.masks,
        origin=_read_origin(report.get("source"), name),
        sparsity=sparsity(opened.model()),
        record={key: value for key, value in report.items() if key not in _NOT_RECORD},
    )


def _read_origin(source: Any, name: str) -> Origin:
    try:
        origin = Origin(**source)
    except TypeError:
        sentence = "{name}: report.json does not describe the source checkpoint; the export is damaged"
        raise CheckpointError(sentence, code="exports.no_source", name=name) from None
    texts = (origin.name, origin.architecture, origin.model_type, origin.dtype)
    maybe = (origin.hub_id, origin.revision)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(text, str | None) for text in maybe):
        sentence = "{name}: report.json describes the source checkpoint by something other than text"
        raise CheckpointError(sentence, code="exports.source_not_text", name=name)
    return origin
