"""What functions accept as a model: a module, or an object that holds one, such as a run."""

from pathlib import Path
from typing import Any

from torch import nn

from ..errors import BertpruneError, kind_of, shortened


def given_model(given: Any, function: str) -> nn.Module:
    """Return the model that a public function was given; raises BertpruneError that names the right call."""
    if isinstance(given, nn.Module):
        return given
    if not isinstance(given, type) and isinstance(own := getattr(given, "model", None), nn.Module):
        return own
    if isinstance(given, str | Path):
        raise BertpruneError(
            "{function} takes a model, not a name; {name!r} is opened by bp.load",
            code="model.name_given", function=function, name=shortened(str(given)),
        )  # fmt: skip
    if not isinstance(given, type) and hasattr(given, "skeleton"):
        raise BertpruneError(
            "{function} takes a model, not a checkpoint; checkpoint.load() builds one",
            code="model.checkpoint_given", function=function,
        )  # fmt: skip
    raise BertpruneError(
        "{function} takes a model (a torch.nn.Module), not {kind}",
        code="model.wrong_type", function=function, kind=kind_of(given),
    )  # fmt: skip


def as_it_is_now(given: Any) -> Any:
    """Return the model of a run, where that has been built and so may have been changed; else what was given."""
    built = None if isinstance(given, type) else getattr(given, "built", None)
    model = built() if callable(built) else None
    return model if isinstance(model, nn.Module) else given
