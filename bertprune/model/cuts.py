"""Whole layers of an encoder, and tokens, removed: from a model, from a config, and in the names that files have.

A layer has no mask that says "skip me", and a token none that changes the tokenizer: both are taken out of the model at
once. Layers that stay keep the numbers that they have in the checkpoint; in the files of an export, which plain
transformers loads, they are numbered anew.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from .copies import twin
from .families import encoder, layers
from .tokens import cut_token_ids, cut_tokens

Model = TypeVar("Model", bound=nn.Module)
_BY_LAYER = ("layer_types", "kept_neurons", "kept_heads")
"""What configs call the lists that have an entry for each layer."""


@dataclass(frozen=True)
class Cut:
    """What is taken out of a model, beside its masks."""

    layers: tuple[int, ...] = ()
    """The encoder's layers that are removed, by the numbers that they have in the checkpoint."""
    tokens: bytes = field(default=b"", repr=False)
    """The ids of the tokens that stay, packed; empty where all do."""

    def __bool__(self) -> bool:
        """Return whether anything is."""
        return bool(self.layers or self.tokens)

    def __or__(self, other: "Cut") -> "Cut":
        """Join with what is taken out after it."""
        first, then = self.kept, other.kept
        tokens = Cut.packed(first[then]) if first is not None and then is not None else self.tokens or other.tokens
        return Cut(tuple(sorted({*self.layers, *other.layers})), tokens)

    @property
    def kept(self) -> Tensor | None:
        """The ids that the tokens that stay have in the checkpoint, in their order; None where all stay."""
        return torch.frombuffer(bytearray(self.tokens), dtype=torch.int32).long() if self.tokens else None

    @staticmethod
    def packed(kept: Tensor) -> bytes:
        """Pack the ids of tokens."""
        return kept.to(torch.int32).numpy(force=True).tobytes()


def cut_model(model: nn.Module, cut: Cut) -> None:
    """Take layers and tokens out of a model, in place, and set its configs accordingly."""
    there = layers(model)
    for number in cut.layers:
        container, _, local = there[number][0].rpartition(".")
        del model.get_submodule(container)._modules[local]
    configs = _configs(model) if cut else []
    if (kept := cut.kept) is not None:
        cut_tokens(model, kept)
        if (generation := getattr(model, "generation_config", None)) is not None:
            cut_token_ids(generation, kept)
    for config in configs:
        cut_config(config, cut, there)


def cut_config(config: Any, cut: Cut, numbers: Iterable[int] | None = None) -> None:
    """Set a config of transformers, in place, to what is left; `numbers` are those of the layers that it describes."""
    if (kept := cut.kept) is not None:
        cut_token_ids(config, kept)
    if not cut.layers:
        return
    there = range(config.num_hidden_layers) if numbers is None else numbers
    left = [place for place, number in enumerate(there) if number not in cut.layers]
    for name in _BY_LAYER:
        if listed := getattr(config, name, None):
            setattr(config, name, [listed[place] for place in left])
    config.num_hidden_layers = len(left)


def _configs(model: nn.Module) -> list[Any]:
    """Return the configs of an encoder, of which some classes hold several copies."""
    base = encoder(model)
    kind = getattr(base.config if base else getattr(model, "config", None), "model_type", None)
    found = {id(config): config for one in model.modules() if (config := getattr(one, "config", None)) is not None}
    return [config for config in found.values() if getattr(config, "model_type", None) == kind]


def without(model: Model, cut: Cut) -> Model:
    """Return the model, or a copy that shares its tensors, with the cut made."""
    if not cut:
        return model
    copy = twin(model)
    cut_model(copy, cut)
    return copy


def found_cut(model: nn.Module, original: nn.Module) -> Cut:
    """Return what a model lacks of another one's layers; nothing where its config does not say that they are gone."""
    base, there = encoder(model), layers(model)
    if base is None or base.config.num_hidden_layers != len(there):
        return Cut()
    return Cut(tuple(number for number in layers(original) if number not in there))


def stored_names(model: nn.Module) -> Callable[[str], str]:
    """Return what gives names in a model the numbers that its layers have in a file: without gaps, from zero."""
    there = layers(model)
    moved = {
        path: f"{path.rpartition('.')[0]}.{place}"
        for place, (number, (path, _)) in enumerate(there.items())
        if place != number
    }
    depth = next(iter(moved), "").count(".") + 1

    def stored(name: str) -> str:
        parts = name.split(".")
        layer = moved.get(".".join(parts[:depth]))
        return name if layer is None else ".".join([layer, *parts[depth:]])

    return stored
