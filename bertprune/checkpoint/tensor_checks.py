"""Refuse stored tensors that are not those of the model, rather than ignore them or fill up at random."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import CheckpointError, Message, first_names, shortened
from .architecture import check_parameters
from .headers import TensorFact
from .pruned_weights import PrunedWeights

if TYPE_CHECKING:
    from torch import nn

    from .loading import Layout

_NUMBERED = re.compile(r"(^|[._])\d+[._]")
"""Part of the name of every tensor inside a layer."""
_BUFFER = re.compile(r"(^|\.)(position_ids|inv_freq|masked_bias|num_batches_tracked)$")
"""What older files also store, and models now work out for themselves."""
_WRAPPERS = ("module.", "_orig_mod.", "model.", "base_model.")
"""What the names of a model's tensors begin with where something else holds the model."""


def check_layout(layout: "Layout", tensors: tuple[TensorFact, ...], name: str) -> None:
    """Refuse files whose tensors are not those of the encoder that the config asks for; raises CheckpointError."""
    check_parameters(layout.skeleton, tensors, name)
    if not layout.homes:
        raise _nothing_of(type(layout.skeleton).__name__, tensors, name)
    prefix = f"{getattr(layout.skeleton, 'base_model_prefix', '')}."
    _refuse_others(layout, prefix, any(fact.name.startswith(prefix) for fact in tensors), name)
    _refuse_extras(layout, prefix, name)


def _refuse_others(layout: "Layout", prefix: str, is_prefixed: bool, name: str) -> None:
    """Refuse an encoder in another form; its head may be missing, or another one."""
    lost = [key for key in sorted(layout.missing) if _is_of_encoder(key, layout.skeleton, prefix)]
    strange = [
        key
        for key in layout.unexpected
        if _NUMBERED.search(key) or ("pooler" not in key and (not is_prefixed or key.startswith(prefix)))
    ]
    if lost and strange:
        raise CheckpointError(
            "{name} lacks {count:,} tensors of the encoder: {tensors}; it holds others instead: {others};"
            " rename them as transformers' save_pretrained does, or open the checkpoint that they were made from",
            code="checkpoint.encoder_not_understood", name=name, count=len(lost), tensors=_first(lost),
            others=_first(strange),
        )  # fmt: skip


def _refuse_extras(layout: "Layout", prefix: str, name: str) -> None:
    """Refuse tensors beside the weights of a module, such as an adapter's or a pruning tool's scores."""
    modules = dict(layout.skeleton.named_modules())
    extras = {key: _home_of(key, modules, prefix) for key in layout.unexpected if not _BUFFER.search(key)}
    for key, path in extras.items():
        own = [f"{path}.{local}" for local in modules[path]._parameters]
        if _NUMBERED.search(f"{path}.") or any(one in layout.homes for one in own):
            raise CheckpointError(
                "{name} holds {tensor!r} in {module!r}, which would change what that module computes and is not"
                " understood: let the tool that added it merge it into the weights (in PEFT, merge_and_unload()),"
                " save the result, and open that",
                code="checkpoint.extra_tensor", name=name, tensor=shortened(key, 80), module=path,
            )  # fmt: skip


def _home_of(key: str, modules: "dict[str, nn.Module]", prefix: str) -> str:
    """Return the innermost module in which a stored tensor lies by its name, with the prefix of a base model or not."""
    found = ""
    for path in (key, prefix + key, key.removeprefix(prefix)):
        while path and path not in modules:
            path = path.rpartition(".")[0]
        found = max(found, path, key=len)
    return found


def _nothing_of(model: str, tensors: tuple[TensorFact, ...], name: str) -> CheckpointError:
    if wrapped := next((fact.name for fact in tensors if fact.name.startswith(_WRAPPERS)), None):
        return CheckpointError(
            "{name} holds {tensor!r}, as a wrapped model does: save the model inside (model.module of DataParallel,"
            " model._orig_mod of torch.compile, merge_and_unload() of PEFT)",
            code="checkpoint.wrapped_model", name=name, tensor=shortened(wrapped, 80),
        )  # fmt: skip
    return CheckpointError(
        "{name} holds none of the tensors that {model} expects, but {others}: rename them as transformers'"
        " save_pretrained does, or name their model in config.json (architectures)",
        code="checkpoint.nothing_of_the_model", name=name, model=model, others=_first(fact.name for fact in tensors),
    )  # fmt: skip


def _first(names: Iterable[str]) -> "str | Message":
    return first_names((shortened(name, 80) for name in names), most=2)


def check_complete(missing: frozenset[str], weights: PrunedWeights, name: str) -> None:
    """Refuse one of our masked exports that lacks a tensor; raises CheckpointError."""
    if missing:
        raise CheckpointError(
            "{name}: {file} lacks {tensor!r}; the export is incomplete",
            code="checkpoint.masked_incomplete", name=name, file=weights.files[0], tensor=min(missing),
        )  # fmt: skip


def _is_of_encoder(key: str, model: "nn.Module", prefix: str) -> bool:
    """Return whether a tensor belongs to a layer or the embeddings of the encoder, and not to a head."""
    has_prefix = any(name.startswith(prefix) for name, _ in model.named_parameters())
    return (not has_prefix or key.startswith(prefix)) and ("embed" in key or _NUMBERED.search(key) is not None)
