"""Read how a sentence-transformers folder makes one embedding of a text; unknown modules are refused by name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoint.json_files import read_object
from ..checkpoint.sentence_modules import SETTINGS_FILE, SentenceModule, read_modules, transformer_folder
from ..checkpoint.weight_files import SINGLE, file_weights
from ..errors import DataError, Message, first_names, shortened, shown
from .embedding import MEAN, POOLINGS, Dense, Embedding, LayerNorm, Normalize

_OLD_NAMES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid", "ELU", "LeakyReLU", "Softplus")
_WIDTHS = range(1, 2**16)


def embedding_of(model: Any, folder: Path | None, name: str) -> Embedding:
    """Return how a folder embeds texts with a model as its transformer, as `read_embedding` does."""
    return read_embedding(folder, name, int(getattr(model.config, "hidden_size", 0)))


def read_embedding(folder: Path | None, name: str, width: int) -> Embedding:
    """Return how a folder embeds texts; `width` is that of its transformer. Without a pooling of its own, the mean.

    Raises DataError for modules that are not supported, CheckpointError for files that cannot be read.
    """
    modules = () if folder is None else read_modules(folder, name)
    if modules and "." in modules[0].kind:
        raise _not_supported(name, modules[0].kind, "a transformer of sentence-transformers first")
    modules = modules[1:]
    if folder is None or not modules:
        return MEAN
    if modules[0].kind != "Pooling":
        raise _not_supported(name, modules[0].kind, "Pooling after the transformer")
    settings = _settings(folder, modules[0], name)
    poolings = _poolings(settings, name)
    layers = _layers(folder, modules[1:], name, width * len(poolings))
    own = Embedding(poolings, layers, with_prompt=bool(settings.get("include_prompt", True)), source=name)
    return _with_prompt(_with_limits(own, folder, name), folder, name)


def _settings(folder: Path, module: SentenceModule, name: str) -> dict[str, Any]:
    path = folder / module.path / "config.json"
    if not path.exists():
        raise DataError(
            "{name}: modules.json names {kind}, but {file} is not there: add it",
            code="embedding.no_config", name=name, kind=module.kind, file=f"{module.path}/config.json",
        )  # fmt: skip
    return read_object(path, f"{name}: {module.path}/config.json")


def _poolings(settings: dict[str, Any], name: str) -> tuple[str, ...]:
    given = settings.get("pooling_mode")
    if given is None:
        given = [new for old, new in _OLD_NAMES.items() if settings.get(old)] or ["mean"]
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not given or not all(one in POOLINGS for one in map(str, given)):
        raise _not_supported(name, f"Pooling by {shortened(str(settings.get('pooling_mode')))}", ", ".join(POOLINGS))
    return tuple(map(str, given))


def _layers(folder: Path, modules: Sequence[SentenceModule], name: str, width: int) -> tuple[nn.Module, ...]:
    layers: list[nn.Module] = []
    for module in modules:
        if module.kind == "Normalize":
            layers.append(Normalize())
        elif module.kind == "Dense":
            layers.append(dense := _dense(folder, module, name, width))
            width = dense.linear.out_features
        elif module.kind == "LayerNorm":
            layers.append(_layer_norm(folder, module, name, width))
        elif module.kind != "Dropout":  # which does nothing but in training
            raise _not_supported(name, module.kind, "Pooling, Dense, LayerNorm, Normalize, Dropout")
    return tuple(layers)


def _dense(folder: Path, module: SentenceModule, name: str, width: int) -> Dense:
    settings = _settings(folder, module, name)
    given, out = settings.get("in_features"), settings.get("out_features")
    activation = str(settings.get("activation_function", "torch.nn.Tanh")).rpartition(".")[2]
    inputs = {settings.get(key) for key in ("module_input_name", "module_output_name")}
    if activation not in _ACTIVATIONS or not inputs <= {None, "sentence_embedding"}:
        raise _not_supported(name, f"Dense {shortened(str(settings), 100)}", "one of a text's embedding")
    if given != width or type(out) is not int or out not in _WIDTHS:
        raise _wrong_width(name, module, given, out, width)
    with torch.device("meta"):  # torch would draw values from its global random state
        dense = Dense(width, out, bool(settings.get("bias", True)), activation, bool(settings.get("use_residual")))
    _read_values(dense, folder / module.path, f"{name}: {module.path}")
    return dense.eval().requires_grad_(False)


def _layer_norm(folder: Path, module: SentenceModule, name: str, width: int) -> LayerNorm:
    given = _settings(folder, module, name).get("dimension")
    if given != width:
        raise _wrong_width(name, module, given, given, width)
    with torch.device("meta"):
        layer = LayerNorm(width)
    _read_values(layer, folder / module.path, f"{name}: {module.path}")
    return layer.eval().requires_grad_(False)


def _wrong_width(name: str, module: SentenceModule, given: Any, out: Any, width: int) -> DataError:
    return DataError(
        "{name}: {path} takes {given} numbers and gives {out}, but the embedding before it has {width}",
        code="embedding.dense_width", name=name, path=module.path, given=shortened(str(given)),
        out=shortened(str(out)), width=width,
    )  # fmt: skip


def _read_values(layer: nn.Module, folder: Path, label: str) -> None:
    """Fill a layer from the weight file of its folder. Raises DataError where it holds other tensors."""
    path = next((folder / file for file in SINGLE if (folder / file).exists()), None)
    if path is None:
        raise DataError("{folder} has no weights: add its model.safetensors", code="embedding.no_weights", folder=label)
    weights = file_weights(path)
    stored = {fact.name: fact.shape for fact in weights.tensors}
    if stored != {key: tuple(value.shape) for key, value in layer.state_dict().items()}:
        raise DataError(
            "{folder} holds {tensors}, which do not fit its config.json",
            code="embedding.other_weights", folder=label, tensors=first_names(stored),
        )  # fmt: skip
    with weights.reader() as read:
        layer.load_state_dict({key: read(key).to(torch.float32, copy=True) for key in stored}, assign=True)


def _with_limits(own: Embedding, folder: Path, name: str) -> Embedding:
    """Add what the transformer's settings say of the texts: how many tokens are read, and whether in lower case."""
    inner = transformer_folder(folder, name)
    path = next(iter(sorted(inner.glob("sentence_*_config.json"))), None)
    if path is None:
        return own
    settings, where = read_object(path, f"{name}: {path.name}"), f"{name}: {path.name}"
    most, lower = settings.get("max_seq_length"), settings.get("do_lower_case")
    _check_setting(where, "max_seq_length", most, _POSITIVE, most is None or (type(most) is int and most > 0))
    _check_setting(where, "do_lower_case", lower, _BOOLEAN, lower is None or type(lower) is bool)
    return replace(own, max_length=most, lower_case=bool(lower))


def _with_prompt(own: Embedding, folder: Path, name: str) -> Embedding:
    """Add the default prompt; where none is the default, that of queries, as for texts compared with one another."""
    path, where = folder / SETTINGS_FILE, f"{name}: {SETTINGS_FILE}"
    settings = read_object(path, where) if path.exists() else {}
    prompts, truncate = settings.get("prompts") or {}, settings.get("truncate_dim")
    key = settings.get("default_prompt_name")
    are_texts = isinstance(prompts, dict) and all(isinstance(prompt, str) for prompt in prompts.values())
    _check_setting(where, "prompts", prompts, _TEXTS, are_texts)
    _check_setting(
        where,
        "default_prompt_name",
        key,
        first_names(prompts),
        key is None or (isinstance(key, str) and key in prompts),
    )
    _check_setting(
        where, "truncate_dim", truncate, _POSITIVE, truncate is None or (type(truncate) is int and truncate > 0)
    )
    return replace(own, prompt=prompts.get(key or "query", ""), truncate=truncate)


_POSITIVE = Message("a positive integer", code="embedding.positive")
_BOOLEAN = Message("true or false", code="embedding.boolean")
_TEXTS = Message("texts by name", code="embedding.texts")


def _check_setting(where: str, key: str, given: Any, expected: str | Message, is_right: bool) -> None:
    """Refuse a setting that sentence-transformers could not follow either. Raises DataError."""
    if not is_right:
        raise DataError(
            "{where} sets {key} to {given}: expected {expected}",
            code="embedding.setting", where=where, key=key, given=shown(given), expected=expected,
        )  # fmt: skip


def _not_supported(name: str, module: str, known: str) -> DataError:
    return DataError(
        "{name}: modules.json has {module}, which is not supported: expected {known}",
        code="embedding.not_supported", name=name, module=module, known=known,
    )  # fmt: skip
