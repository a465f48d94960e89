"""Which class of transformers a config names, and whether its sizes are plausible."""

import re
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, Message, Note, shortened
from ..model.family_tables import KNOWN_FAMILIES
from .headers import TensorFact
from .irregular import find_irregular
from .json_files import first_line

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

MOST_LAYERS = 96
MOST_LABELS = 2**17
MOST_REPEATS = 2**16
MOST_SETTINGS = 1000
MOST_DEPTH = 16
_REPEATED = re.compile("layer|depth|block|stage|stack|repeat")
_LAYERS = ("num_hidden_layers", "n_layers", "num_layers", "n_layer", "encoder_layers", "decoder_layers")
_LENGTHS = (
    "hidden_size",
    "dim",
    "d_model",
    "embedding_size",
    "intermediate_size",
    "hidden_dim",
    "num_attention_heads",
    "n_heads",
    "vocab_size",
)
_SIZES = (*_LENGTHS, "max_position_embeddings", "type_vocab_size")
_MOST = {**dict.fromkeys(_SIZES, 2**31), **dict.fromkeys(_LAYERS, MOST_LAYERS), "num_labels": MOST_LABELS}
# Where transformers would look for the author's code or files, or for kernels to download.
_IGNORED = {
    "model_type",
    "auto_map",
    "name_or_path",
    "attn_implementation",
    "experts_implementation",
    "fusion_config",
    "kernel_config",
    "transformers_weights",
    "distributed_config",
}
_UNKNOWN_METHOD = Message("unknown method", code="checkpoint.unknown_quantization")
_BERT_TENSOR = re.compile(r"^(bert\.)?encoder\.layer\.0\.attention\.self\.query\.weight$")


def check_sizes(raw: dict[str, Any], tensors: tuple[TensorFact, ...], name: str) -> None:
    """Refuse sizes that no checkpoint has, before anything is built from them; raises CheckpointError."""
    if len(raw) > MOST_SETTINGS:
        raise CheckpointError(
            "{name}: config.json holds {settings:,} settings; at most {most:,} are accepted",
            code="checkpoint.config_too_many_settings", name=name, settings=len(raw), most=MOST_SETTINGS,
        )  # fmt: skip
    for key, most in _MOST.items():
        if raw.get(key) is not None:
            _check_size(raw[key], key, most, name)
    for key in _LAYERS:
        if tensors and (raw.get(key) or 0) > len(tensors):
            raise CheckpointError(
                "{name}: config.json asks for {key} = {given}, but the files hold only {stored} tensors",
                code="checkpoint.config_more_layers_than_tensors", name=name, key=key, given=raw[key],
                stored=len(tensors),
            )  # fmt: skip
    _check_numbers(raw, name)


def _check_size(value: Any, key: str, most: int, name: str) -> None:
    if type(value) is not int or value < 0:
        raise CheckpointError(
            "{name}: config.json sets {key} to {given}; expected an integer",
            code="checkpoint.config_not_a_whole_number", name=name, key=key, given=shortened(repr(value)),
        )  # fmt: skip
    if value > most:
        raise _too_large(key, value, most, name)
    if value == 0 and key in _LENGTHS:
        raise CheckpointError(
            "{name}: config.json sets {key} to 0: expected at least 1",
            code="checkpoint.config_zero", name=name, key=key,
        )  # fmt: skip


def _check_numbers(value: Any, name: str, key: str = "", depth: int = 0) -> None:
    """Refuse numbers under any other key, nested or in a list, that would take too long to build."""
    if depth > MOST_DEPTH:
        raise CheckpointError(
            "{name}: config.json is nested deeper than {most} levels; no model needs that",
            code="checkpoint.config_too_deep", name=name, most=MOST_DEPTH,
        )  # fmt: skip
    if isinstance(value, dict):
        for inner, nested in value.items():
            _check_numbers(nested, name, inner, depth + 1)
    elif isinstance(value, list):
        for nested in value:
            _check_numbers(nested, name, key, depth + 1)
    elif type(value) is int:
        most = _MOST.get(key, MOST_REPEATS if _REPEATED.search(key) else 2**31)
        if abs(value) > most:
            raise _too_large(key, value, most, name)


def _too_large(key: str, value: int, most: int, name: str) -> CheckpointError:
    return CheckpointError(
        "{name}: config.json asks for {key} = {given}; at most {most:,} is accepted",
        code="checkpoint.config_too_large", name=name, key=shortened(key, 80), given=shortened(repr(value)), most=most,
    )  # fmt: skip


def check_parameters(skeleton: "nn.Module", tensors: tuple[TensorFact, ...], name: str) -> None:
    """Refuse a model many times larger than what is stored for it; raises CheckpointError."""
    stored = sum(fact.size for fact in tensors)
    wanted = sum(parameter.numel() for parameter in skeleton.parameters())
    if tensors and wanted > 4 * stored + 50_000_000:
        raise CheckpointError(
            "{name}: config.json asks for {wanted:,} values, but the files hold only {stored:,}",
            code="checkpoint.config_more_values_than_stored", name=name, wanted=wanted, stored=stored,
        )  # fmt: skip


def build_config(
    raw: dict[str, Any], tensors: tuple[TensorFact, ...], name: str
) -> "tuple[PreTrainedConfig, list[Note]]":
    """Make transformers' config from the JSON object; notes say what was assumed. Raises CheckpointError."""
    if quantization := raw.get("quantization_config"):
        method = quantization.get("quant_method") if isinstance(quantization, dict) else None
        raise CheckpointError(
            "{name} is quantized ({method}); use the checkpoint it was made from",
            code="checkpoint.quantized", name=name,
            method=shortened(repr(method)) if method else _UNKNOWN_METHOD,
        )  # fmt: skip
    model_type, notes = _model_type(raw, tensors, name)
    values = {key: value for key, value in raw.items() if key not in _IGNORED and not key.startswith("_")}
    from transformers import AutoConfig

    try:
        return AutoConfig.for_model(model_type, **values), notes
    except Exception as error:
        raise CheckpointError(
            "{name}: config.json does not fit model_type {model_type!r}: {reason}",
            code="checkpoint.config_does_not_fit", name=name, model_type=model_type, reason=first_line(error),
        ) from None  # fmt: skip


def _model_type(raw: dict[str, Any], tensors: tuple[TensorFact, ...], name: str) -> tuple[str, list[Note]]:
    from transformers import CONFIG_MAPPING

    given = raw.get("model_type")
    if given is None:
        return _guess_model_type(raw, tensors, name)
    if not isinstance(given, str) or given not in CONFIG_MAPPING:
        raise CheckpointError(
            "{name}: config.json names model_type {given}, which transformers does not know"
            " (code that comes with a checkpoint is never run); roles are known for {known}",
            code="checkpoint.unknown_model_type", name=name, given=shortened(repr(given)), known=KNOWN_FAMILIES,
        )  # fmt: skip
    return given, []


def _guess_model_type(raw: dict[str, Any], tensors: tuple[TensorFact, ...], name: str) -> tuple[str, list[Note]]:
    if (wanted := _first_architecture(raw)) is not None and (cls := _known_class(wanted)) is not None:
        model_type = str(getattr(cls.config_class, "model_type", ""))
        return model_type, [
            Note(
                "config.json gives no model_type; {wanted} implies {model_type!r}.",
                code="note.implied_model_type",
                wanted=wanted,
                model_type=model_type,
            )
        ]
    if any(_BERT_TENSOR.match(fact.name) for fact in tensors):
        return "bert", [
            Note(
                "config.json gives no model_type; the tensors are named like BERT's, so BERT was assumed.",
                code="note.assumed_bert",
            )
        ]
    raise CheckpointError(
        "{name}: config.json gives neither model_type nor architectures: expected one of them",
        code="checkpoint.no_model_type", name=name,
    )  # fmt: skip


def find_class(
    raw: dict[str, Any], config: "PreTrainedConfig", name: str
) -> "tuple[type[PreTrainedModel], list[Note]]":
    """Return the class that `architectures` names, else the family's base class with a note saying so."""
    wanted = _first_architecture(raw)
    if wanted is None:
        base = _base_class(config, name)
        return base, [
            Note(
                "config.json names no architectures; {model} is used, without any task head.",
                code="note.no_architectures",
                model=base.__name__,
            )
        ]
    cls = _known_class(wanted)
    if cls is None:
        base = _base_class(config, name)
        return base, [
            Note(
                "{wanted} is not a class of transformers; {model} is used instead.",
                code="note.unknown_class",
                wanted=shortened(repr(wanted)),
                model=base.__name__,
            )
        ]
    if cls.config_class is None or not isinstance(config, cls.config_class):
        raise CheckpointError(
            "{name}: config.json names {wanted}, which does not match model_type {model_type!r}",
            code="checkpoint.class_does_not_fit", name=name, wanted=shortened(wanted), model_type=config.model_type,
        )  # fmt: skip
    return cls, _class_notes(raw, wanted)


def _class_notes(raw: dict[str, Any], wanted: str) -> list[Note]:
    notes = []
    if len(raw["architectures"]) > 1:
        notes.append(
            Note(
                "config.json names several architectures; the first, {first}, is used.",
                code="note.several_architectures",
                first=wanted,
            )
        )
    if raw.get("auto_map"):
        notes.append(Note("config.json points to custom code (auto_map), which is never run.", code="note.own_code"))
    return notes


def _first_architecture(raw: dict[str, Any]) -> str | None:
    named = raw.get("architectures")
    if not isinstance(named, list) or not named or not isinstance(named[0], str):
        return None
    return named[0]


def _known_class(wanted: str) -> "type[PreTrainedModel] | None":
    import transformers

    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", wanted):
        return None
    found = getattr(transformers, wanted, None) or find_irregular(wanted)
    is_model = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    return found if is_model and getattr(found, "config_class", None) is not None else None


def _base_class(config: "PreTrainedConfig", name: str) -> "type[PreTrainedModel]":
    from transformers import MODEL_MAPPING

    try:
        found: Any = MODEL_MAPPING[type(config)]
    except KeyError:
        raise CheckpointError(
            "{name}: model_type {model_type!r} has no base model: expected a class named in architectures",
            code="checkpoint.no_base_model", name=name, model_type=config.model_type,
        ) from None  # fmt: skip
    base: type[PreTrainedModel] = found[0] if isinstance(found, (tuple, list)) else found
    return base
