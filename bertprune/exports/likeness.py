"""Whether a model is the one that its checkpoint builds, apart from tensors: an export keeps nothing else of it.

Compared is what a forward pass uses: the class of every module, its settings, its hooks, the buffers that are not
saved, and the config. What runs a model, and changes nothing that it computes in eval mode, may differ: dropout,
gradient checkpointing, the implementation of attention, the dtype.
"""

import functools
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod

from ..checkpoint import Checkpoint
from ..errors import ExportError, shown
from ..model.direct_reads import DeriveInside
from ..model.matching import refuse_adapters
from ..model.names import full_name, pruned_names
from ..model.records import pruning_hooks
from ..model.state import state_of

_OF_TORCH = frozenset(vars(nn.Module()))
_OF_RUNNING = {
    "all_tied_weights_keys",
    "attention_type",  # of BigBird
    "config",
    "generation_config",
    "gradient_checkpointing",
    "is_parallelizable",
    "model_parallel",
    "name_or_path",
    "warnings_issued",
}
"""Attributes of a module that say how it runs, or what is compared elsewhere."""
_EXCHANGED = {"BigBirdBlockSparseAttention", "BigBirdSelfAttention"}
"""Classes that a model exchanges by itself, as the length of its input asks."""
LABELS = ("id2label", "label2id", "problem_type")
"""What a config says of the meaning of outputs; a changed value goes along with an export."""
_OF_RUNNING_IN_CONFIG = {
    "architectures",
    "dtype",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "torch_dtype",
    "transformers_version",
    "use_cache",
}
_NUMBERS = (bool, int, float)
_PLAIN = (*_NUMBERS, str, bytes, type(None))
_LOST = 0.01
"""What half precision may have cost a buffer, as a share."""


def check_like(model: nn.Module, original: nn.Module, name: str) -> None:
    """Refuse a model that computes something other than `original` with the same tensors. Raises ExportError."""
    refuse_adapters(model, ExportError)
    if type(model) is not type(original):
        raise ExportError(
            "the model is a {kind}, but {name} holds a {expected}: pass that model, unwrapped",
            code="exports.other_class", name=name, kind=type(model).__name__, expected=type(original).__name__,
        )  # fmt: skip
    ours, theirs = (dict(one.named_modules(remove_duplicate=False)) for one in (model, original))
    common = [path for path in ours if path in theirs]
    for path in common:
        _check_class(path, ours[path], theirs[path], name)
    _check_tensors(model, original, name)
    for path in sorted(ours.keys() ^ theirs.keys()):
        if not _is_dropout({**theirs, **ours}[path]):
            raise _added(path, name) if path in ours else _removed(path, name)
    for path in common:
        _check_hooks(path, ours[path])
        _check_derived(path, ours[path])
        if type(ours[path]) is type(theirs[path]) and not _is_dropout(theirs[path]):
            _check_settings(path, ours[path], theirs[path], name)


def refuse_other_vocabulary(model: nn.Module, like: Checkpoint) -> None:
    """Refuse a model that lost tokens: only its run knows which, and cuts the tokenizer. Raises ExportError."""
    mine, theirs = (getattr(one, "vocab_size", None) for one in (getattr(model, "config", None), like.config))
    if isinstance(mine, int) and isinstance(theirs, int) and mine < theirs:
        raise ExportError(
            "the model has {mine:,} tokens, and {name} has {theirs:,}: export the run that removed the others, which"
            " knows them, as in bp.export(run, out)",
            code="exports.other_vocabulary", mine=mine, theirs=theirs, name=like.name,
        )  # fmt: skip


def changed_config(model: nn.Module, original: nn.Module, name: str) -> dict[str, Any]:
    """Return what was changed in a model's config and goes along: the names of labels. Raises ExportError."""
    ours, theirs = (one.config.to_dict() for one in (model, original))  # type: ignore[operator, union-attr]
    changed = {}
    for key in sorted(ours.keys() | theirs.keys()):
        mine, expected = ours.get(key), theirs.get(key)
        if mine == expected or key in _OF_RUNNING_IN_CONFIG or key.startswith("_") or "drop" in key:
            continue
        if key not in LABELS or (key == "id2label" and mine.keys() != expected.keys()):
            raise ExportError(
                "config.{key} is {given} in the model, {expected} in {name}: an export changes only labels there",
                code="exports.other_config", key=key, given=shown(mine), expected=shown(expected), name=name,
            )  # fmt: skip
        changed[key] = mine
    return changed


def _check_class(path: str, module: nn.Module, original: nn.Module, name: str) -> None:
    if is_parametrized(module):
        raise ExportError(
            "{module} is parametrized: call torch.nn.utils.parametrize.remove_parametrizations first",
            code="exports.parametrized", module=path,
        )  # fmt: skip
    off = _is_dropout(original) and (_is_dropout(module) or isinstance(module, nn.Identity))
    kinds = [type(one).__name__ for one in (module, original)]
    if type(module) is not type(original) and not off and not _EXCHANGED.issuperset(kinds):
        if kinds[0] == kinds[1]:
            kinds = [f"{type(one).__module__}.{type(one).__name__}" for one in (module, original)]
        raise ExportError(
            "{module} is a {kind} in the model, a {expected} in {name}: an export keeps the architecture",
            code="exports.other_module", module=path, kind=kinds[0], expected=kinds[1], name=name,
        )  # fmt: skip


def _check_tensors(model: nn.Module, original: nn.Module, name: str) -> None:
    ours, theirs = state_of(model).dense, state_of(original).dense
    for tensor in sorted(ours.keys() ^ theirs.keys()):
        raise _added(tensor, name) if tensor in ours else _removed(tensor, name)
    for tensor, value in ours.items():
        if value.shape != (expected := theirs[tensor].shape):
            raise ExportError(
                "{tensor} has the shape {shape} in the model, {expected} in {name}: an export keeps the architecture",
                code="exports.other_tensor", tensor=tensor, shape=tuple(value.shape), expected=tuple(expected),
                name=name,
            )  # fmt: skip


def _added(what: str, name: str) -> ExportError:
    sentence = "the model has {what}, which {name} lacks: an export keeps the architecture"
    return ExportError(sentence, code="exports.added", what=what, name=name)


def _removed(what: str, name: str) -> ExportError:
    sentence = "the model lacks {what}, which {name} has: an export keeps the architecture"
    return ExportError(sentence, code="exports.removed", what=what, name=name)


def _check_hooks(path: str, module: nn.Module) -> None:
    """Refuse a hook that may change what a module gives, unless it is for pruning or one of transformers' own."""
    for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
        function = hook.func if isinstance(hook, functools.partial) else hook
        known = isinstance(hook, BasePruningMethod | DeriveInside)
        if not known and not str(getattr(function, "__module__", "")).startswith("transformers."):
            raise ExportError(
                "{module} has the forward hook {hook}, which an export cannot hold and which may change what the"
                " module gives: call remove() on what register_forward_hook (or …_pre_hook) returned, then export",
                code="exports.foreign_hook", module=path or "the model",
                hook=getattr(function, "__qualname__", type(function).__name__),
            )  # fmt: skip


def _check_settings(path: str, module: nn.Module, original: nn.Module, name: str) -> None:
    """Compare the attributes of two modules that a forward pass may read. Raises ExportError."""
    ours, theirs = dict(_settings(module)), dict(_settings(original))
    for attribute in sorted(ours.keys() | theirs.keys()):
        mine = ours.get(attribute, getattr(module, attribute, None))
        expected = theirs.get(attribute, getattr(original, attribute, None))
        if (attribute in theirs or hasattr(type(original), attribute)) and not _same(mine, expected):
            written = [_written(mine), _written(expected)]
            if written[0] == written[1]:  # one function around the other, as torch.compile writes it
                written[0] += " (another function of that name)"
            raise ExportError(
                "{setting} is {given} in the model, {expected} in {name}: an export keeps tensors, and no other change",
                code="exports.other_setting", setting=full_name(path, attribute), given=written[0],
                expected=written[1], name=name,
            )  # fmt: skip


def _check_derived(path: str, module: nn.Module) -> None:
    """Refuse masks whose pruning hook is gone: the module uses what was derived last, whatever its masks hold."""
    for tensor in pruned_names(module):
        if not pruning_hooks(module, tensor):
            raise ExportError(
                "{module} has {tensor}_orig and {tensor}_mask, but no pruning hook, so it would not follow them: bake"
                " the model before its hooks are removed (bp.bake, or torch's prune.remove)",
                code="exports.no_hook", module=path or "the model", tensor=tensor,
            )  # fmt: skip


def _settings(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a module that are neither tensors of its state dict, nor modules, nor private."""
    derived = set(pruned_names(module))
    for name, value in vars(module).items():
        if not (name in _OF_TORCH or name in _OF_RUNNING or name in derived or name.startswith("_") or "drop" in name):
            yield name, value
    yield from ((name, module._buffers.get(name)) for name in module._non_persistent_buffers_set)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _close(one, other)
    if isinstance(one, _NUMBERS) and isinstance(other, _NUMBERS):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, FunctionType | MethodType):
        return one.__code__ is other.__code__
    return one == other if isinstance(one, _PLAIN) else True


def _close(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.is_meta or other.is_meta:
        return one.shape == other.shape
    first, second = (tensor.detach().cpu().double() for tensor in (one, other))
    return torch.allclose(first, second, rtol=_LOST, equal_nan=True)


def _is_dropout(module: nn.Module) -> bool:
    return type(module).__name__.endswith("Dropout")


def _written(value: Any) -> str:
    plain = isinstance(value, (*_PLAIN, list, tuple, Tensor))
    return shown(value) if plain else getattr(value, "__qualname__", type(value).__name__)
