"""Tokens taken out of a model: rows of its word embeddings, and of the head that predicts words."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod, PruningContainer

from ..errors import SelectionError
from .families import base_prefix
from .targets import Owner, Target, every_target

_IDS = ("_token_id", "_token_ids")
"""What the names of settings end in that hold ids of tokens."""


def vocabulary_targets(model: nn.Module) -> tuple[Target, ...]:
    """Return the tensors that have a row for each token, the word embeddings first. Raises SelectionError."""
    words = _embedding(model)
    if words is None:
        raise SelectionError(
            "{model} has no table of word embeddings that could be cut",
            code="selection.no_vocabulary", model=type(model).__name__,
        )  # fmt: skip
    head, prefix = _head(model), base_prefix(model) or f"{getattr(model, 'base_model_prefix', '')}."

    def belongs(owner: Owner) -> bool:
        outside = owner.tensor == "bias" and not owner.path.startswith(prefix)
        return owner.module is words or owner.module is head or (head is not None and outside)

    rows = words.num_embeddings
    found = [
        target for target in every_target(model) if len(target.parameter) == rows and any(map(belongs, target.owners))
    ]
    return tuple(sorted(found, key=lambda target: all(owner.module is not words for owner in target.owners)))


def _embedding(model: nn.Module) -> nn.Embedding | None:
    try:
        found = model.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Embedding) else None


def _head(model: nn.Module) -> nn.Module | None:
    """Return what predicts words, if anything does."""
    found = model.get_output_embeddings()  # type: ignore[operator]
    return found if isinstance(found, nn.Module) else None


def fixed_tokens(model: Any) -> set[int]:
    """Return the ids that a model's config names, and those that must not move: positions may count from padding's."""
    fixed = {one for _, value in _settings(model.config) for one in _listed(value)}
    for module in model.modules():
        if hasattr(module, "padding_idx") and not isinstance(module, nn.Embedding):
            fixed |= set(range((module.padding_idx or 0) + 1))
    return fixed


def cut_tokens(model: nn.Module, kept: Tensor) -> None:
    """Keep the rows of some tokens, in their order, in place; masks and hooks on them stay."""
    words, head = _embedding(model), _head(model)
    assert words is not None
    rows, new = words.num_embeddings, {int(old): number for number, old in enumerate(kept)}
    for target in vocabulary_targets(model):
        values = target.parameter.detach()[kept.to(target.parameter.device)]
        parameter = nn.Parameter(values, target.parameter.requires_grad)
        for owner in target.owners:
            _replace(owner, parameter, kept.to(values.device))
    words.num_embeddings = len(kept)
    words.padding_idx = None if words.padding_idx is None else new.get(words.padding_idx)
    if isinstance(head, nn.Linear) and head.out_features == rows:
        head.out_features = len(kept)
    for module in model.modules():
        if vars(module).get("vocab_size") == rows:
            module.vocab_size = len(kept)  # type: ignore[assignment]


def _replace(owner: Owner, parameter: nn.Parameter, kept: Tensor) -> None:
    module, tensor, mask = owner.module, owner.tensor, owner.mask
    if mask is None:
        module._parameters[tensor] = parameter
        return
    module._parameters[f"{tensor}_orig"] = parameter
    module._buffers[f"{tensor}_mask"] = mask = mask[kept]
    if tensor in vars(module):
        with torch.enable_grad():
            setattr(module, tensor, parameter * mask)
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == tensor:
            for one in hook if isinstance(hook, PruningContainer) else (hook,):
                if isinstance(old := getattr(one, "mask", None), Tensor):
                    setattr(one, "mask", old[kept])  # noqa: B010


def cut_token_ids(config: Any, kept: Tensor) -> None:
    """Set the number of tokens in a config, in place, and the ids of those that it names."""
    new = {int(old): number for number, old in enumerate(kept)}
    for name, value in list(_settings(config)):
        moved = [new.get(one, one) for one in _listed(value)]
        setattr(config, name, moved if isinstance(value, list) else moved[0])
    if hasattr(config, "vocab_size"):
        config.vocab_size = len(kept)


def moved_ids(settings: Mapping[str, Any], kept: Tensor) -> dict[str, Any]:
    """Return settings, such as those of generation, with the new ids of the tokens that they name."""
    new = {int(old): number for number, old in enumerate(kept)}

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(one) for one in value]
        return new.get(value, value) if type(value) is int else value

    return {name: moved(value) if name.endswith(_IDS) else value for name, value in settings.items()}


def _settings(config: Any) -> Iterator[tuple[str, Any]]:
    for name, value in config.to_dict().items():
        if name.endswith(_IDS) and _listed(value):
            yield name, value


def _listed(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if type(one) is int and one >= 0]
