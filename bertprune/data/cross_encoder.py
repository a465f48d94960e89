"""Read how a cross-encoder's folder turns the model's one number into its score, as `CrossEncoder.predict` does."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from ..checkpoint.json_files import read_object
from ..checkpoint.sentence_modules import SETTINGS_FILE
from ..errors import DataError, shortened

_ACTIVATIONS = {"Sigmoid": nn.Sigmoid, "Identity": nn.Identity, "Tanh": nn.Tanh, "ReLU": nn.ReLU}


def read_activation(folder: Path | None, model: PreTrainedModel, name: str) -> nn.Module:
    """Return the activation that a folder applies; the identity unless a cross-encoder names one. Raises DataError."""
    given = _given(folder, model, name)
    kind = "Identity" if given is None else str(given).rpartition(".")[2]
    if kind not in _ACTIVATIONS:
        raise DataError(
            "{name}: its scores go through {given}, which is not supported: expected one of {known}",
            code="data.activation", name=name, given=shortened(str(given)), known=", ".join(_ACTIVATIONS),
        )  # fmt: skip
    return _ACTIVATIONS[kind]()


def _given(folder: Path | None, model: PreTrainedModel, name: str) -> Any:
    """Find the activation's name: in a file of its own, and in config.json as earlier versions wrote it."""
    path = None if folder is None else folder / SETTINGS_FILE
    settings = read_object(path, f"{name}: {SETTINGS_FILE}") if path is not None and path.exists() else {}
    if settings.get("model_type") == "CrossEncoder":
        return settings.get("activation_fn", "Sigmoid")
    within = getattr(model.config, "sentence_transformers", None)
    earlier = within.get("activation_fn") if isinstance(within, dict) else None
    return earlier or getattr(model.config, "sbert_ce_default_activation_function", None)
