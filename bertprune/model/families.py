"""The role of each module in the encoder, for the model families listed here.

The family comes from the model's config (`config.model_type`), never from module names, since a custom model may
have similar names.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from torch import nn

_BERT_ROLES = {
    r"embeddings\.word_embeddings": "embeddings.word",
    r"embeddings\.position_embeddings": "embeddings.position",
    r"embeddings\.token_type_embeddings": "embeddings.token_type",
    r"encoder\.layer\.\d+\.(cross)?attention\.self\.query": "attention.query",
    r"encoder\.layer\.\d+\.(cross)?attention\.self\.key": "attention.key",
    r"encoder\.layer\.\d+\.(cross)?attention\.self\.value": "attention.value",
    r"encoder\.layer\.\d+\.(cross)?attention\.output\.dense": "attention.output",
    r"encoder\.layer\.\d+\.intermediate\.dense": "ffn.intermediate",
    r"encoder\.layer\.\d+\.output\.dense": "ffn.output",
    r"pooler\.dense": "pooler",
}
_DISTILBERT_ROLES = {
    r"embeddings\.word_embeddings": "embeddings.word",
    r"embeddings\.position_embeddings": "embeddings.position",
    r"transformer\.layer\.\d+\.attention\.q_lin": "attention.query",
    r"transformer\.layer\.\d+\.attention\.k_lin": "attention.key",
    r"transformer\.layer\.\d+\.attention\.v_lin": "attention.value",
    r"transformer\.layer\.\d+\.attention\.out_lin": "attention.output",
    r"transformer\.layer\.\d+\.ffn\.lin1": "ffn.intermediate",
    r"transformer\.layer\.\d+\.ffn\.lin2": "ffn.output",
}
_ROLES = {
    family: [(re.compile(pattern), role) for pattern, role in roles.items()]
    for family, roles in {
        "bert": _BERT_ROLES,
        "roberta": _BERT_ROLES,
        "distilbert": _DISTILBERT_ROLES,
        "electra": _BERT_ROLES,
    }.items()
}
_FAMILY_OF_TYPE = {
    "bert": "bert",
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "distilbert": "distilbert",
    "electra": "electra",
}
_LAYER = re.compile(r"(?:encoder|transformer)\.layer\.(\d+)(?:\.|$)")


@dataclass(frozen=True)
class Place:
    """Where a module is: its family, encoder layer (from zero) and role; None for none."""

    family: str
    layer: int | None
    role: str | None


def places(model: nn.Module) -> dict[str, Place]:
    """Map every module path of a BERT, RoBERTa, XLM-R, CamemBERT, DistilBERT or ELECTRA model to its place.

    Reads module names and the config only, so a model on the meta device works. Roles belong to the modules that
    own weights (Linear, Embedding); containers, LayerNorms and ELECTRA's `embeddings_project` have a layer at most.
    Modules outside the base model have the role `head`; the root has no place. A custom model around exactly one
    such encoder works too. Any other model gives an empty dict.
    """
    base = _find_base(model)
    if base is None:
        return {}
    paths = (path for path, _ in model.named_modules(remove_duplicate=False) if path)
    return {path: _place(path, *base) for path in paths}


def base_prefix(model: nn.Module) -> str:
    """Return the prefix of the base model's paths: "bert." in a BertForX, "" in a bare or unknown model."""
    base = _find_base(model)
    return base[0] if base else ""


@lru_cache(maxsize=4096)
def _place(path: str, prefix: str, family: str) -> Place:
    if not path.startswith(prefix):
        return Place(family, None, None if prefix.startswith(path + ".") else "head")
    inner = path.removeprefix(prefix)
    layer = _LAYER.match(inner)
    role = next((role for pattern, role in _ROLES[family] if pattern.fullmatch(inner)), None)
    return Place(family, int(layer[1]) if layer else None, role)


def _find_base(model: nn.Module) -> tuple[str, str] | None:
    """Find the path prefix and the family of the base model; None if none or several are known."""
    found: list[tuple[str, str]] = []
    for path, module in model.named_modules():
        inside = any(f"{path}.".startswith(prefix) for prefix, _ in found)
        family = None if inside else _family(module)
        if family is not None:
            found.append((_inner_prefix(path, module), family))
    return found[0] if len(found) == 1 else None


def _family(module: nn.Module) -> str | None:
    """Return the family of a pretrained model; its submodules have the config too, but no `base_model_prefix`."""
    if not isinstance(getattr(module, "base_model_prefix", None), str):
        return None
    return _FAMILY_OF_TYPE.get(str(getattr(getattr(module, "config", None), "model_type", None)))


def _inner_prefix(path: str, module: nn.Module) -> str:
    inner = str(module.base_model_prefix)
    parts = [path, inner if inner in module._modules else ""]
    return "".join(f"{part}." for part in parts if part)
