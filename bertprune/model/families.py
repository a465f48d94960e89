"""The layer and the role of each module in an encoder, for the families in `family_tables`.

The family comes from the model's config (`config.model_type`), never from module names, since a custom model may
have similar names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from .family_tables import FAMILIES, IRREGULAR, Family, Fused

_FAMILY_OF_TYPE = {kind: family for family in FAMILIES for kind in family.types}


@dataclass(frozen=True)
class Place:
    """Where a module is: its family, encoder layer (from zero) and role; None for none."""

    family: str
    layer: int | None
    role: str | None
    """A fused projection has its roles joined by `+`; `roles` lists them."""
    uses: int = 1
    """How many layers of a forward pass share this one: 12 for the one layer of an ALBERT of twelve."""
    by_head: int = 0
    """How many rows each head has of every part of a fused projection; 0 where each part is in one piece."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles, several for a fused projection."""
        return tuple(self.role.split("+")) if self.role else ()

    @property
    def is_fused(self) -> bool:
        """Whether the module holds several projections in one matrix."""
        return len(self.roles) > 1

    def rows(self, role: str, size: int) -> tuple[slice, ...]:
        """Return which of `size` rows have a role: all, or those of its part of a fused projection."""
        block = self.by_head or size // len(self.roles)
        starts = range(self.roles.index(role) * block, size, block * len(self.roles))
        return tuple(slice(start, start + block) for start in starts)


@dataclass(frozen=True)
class Encoder:
    """The base model that was found: its table, its config, and the prefix of its paths."""

    prefix: str
    family: Family
    config: Any

    @property
    def head_size(self) -> int:
        """The width of one attention head; it stays where heads are taken out."""
        own = getattr(self.config, self.family.head_size, None) if self.family.head_size else None
        return int(own or self.config.hidden_size // self.config.num_attention_heads)

    @property
    def shared_heads(self) -> int:
        """How many heads share one key and one value."""
        heads = int(self.config.num_attention_heads)
        return heads // int(getattr(self.config, "num_key_value_heads", None) or heads)

    @property
    def heads(self) -> int:
        """How many heads the config gives each layer; those that share a key and a value are one."""
        return int(self.config.num_attention_heads) // self.shared_heads

    @property
    def neurons(self) -> int:
        """How many neurons the config gives each layer."""
        return int(getattr(self.config, self.family.width))


def places(model: nn.Module) -> dict[str, Place]:
    """Map every module path of a model of a known family to its place.

    Reads module names and the config only, so a model on the meta device works. Roles belong to the modules that
    own weights (Linear, Embedding); containers, LayerNorms and projections of embeddings have a layer at most.
    Modules outside the base model have the role `head`; the root has no place. A custom model around exactly one
    such encoder works too, and so do wrappers such as DataParallel. Any other model gives an empty dict.
    """
    base = encoder(model)
    if base is None:
        return {}
    paths = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
    numbers = _numbers(paths, base)
    return {path: _place(path, base, numbers) for path in paths}


def layers(model: nn.Module) -> dict[int, tuple[str, nn.Module]]:
    """Return the encoder's layers by number, each once, with their paths; none for a model of an unknown family."""
    base = encoder(model)
    if base is None:
        return {}
    named = dict(model.named_modules())
    return {number: (path, named[path]) for path, number in _numbers(named, base).items()}


def _numbers(paths: Iterable[str], base: Encoder) -> dict[str, int]:
    """Number the layers as their paths do, so that one keeps its number where others were removed; groups by order."""
    found = [path for path in paths if _is_layer(path.removeprefix(base.prefix), base.family)]
    if base.family.layers.count("{}") > 1:
        return {path: number for number, path in enumerate(found)}
    return {path: int(path.rpartition(".")[2]) for path in found}


def base_prefix(model: nn.Module) -> str:
    """Return the prefix of the base model's paths: "bert." in a BertForX, "" in a bare or unknown model."""
    base = encoder(model)
    return base.prefix if base else ""


def _place(path: str, base: Encoder, layers: Mapping[str, int]) -> Place:
    family = base.family
    if not path.startswith(base.prefix):
        return Place(family.name, None, None if base.prefix.startswith(path + ".") else "head")
    inner = path.removeprefix(base.prefix)
    layer = base.prefix + ".".join(inner.split(".")[: family.layers.count(".") + 1])
    if layer not in layers:
        return Place(family.name, None, family.outside.get(inner))
    number, role = layers[layer], family.in_layer.get(path[len(layer) + 1 :])
    uses = _uses(base, number, len(layers))
    if isinstance(role, Fused):
        by_head = base.head_size if role.by_head else 0
        return Place(family.name, number, "+".join(role.roles), uses, by_head)
    return Place(family.name, number, role, uses)


def _is_layer(inner: str, family: Family) -> bool:
    parts, wanted = inner.split("."), family.layers.split(".")
    if len(parts) != len(wanted):
        return False
    return all(part.isdecimal() if want == "{}" else part == want for part, want in zip(parts, wanted, strict=True))


def _uses(base: Encoder, number: int, layers: int) -> int:
    """Count how often a forward pass runs a layer; transformers spreads its passes evenly over the groups."""
    if base.family.shared_by is None:
        return 1
    passes, groups = (int(getattr(base.config, key)) for key in base.family.shared_by)
    group = number // max(1, layers // groups)
    return sum(int(one / (passes / groups)) == group for one in range(passes))


def encoder(model: nn.Module) -> Encoder | None:
    """Find the encoder of a known family; None if there is none or several."""
    found: list[Encoder] = []
    for path, module in model.named_modules():
        inside = any(f"{path}.".startswith(base.prefix) for base in found)
        base = None if inside else _base_of(path, module)
        if base is not None:
            found.append(base)
    return found[0] if len(found) == 1 else None


def _base_of(path: str, module: nn.Module) -> Encoder | None:
    """Return the base model in a pretrained model, if that is of a known family and is an encoder alone.

    Its submodules have the config too, but no `base_model_prefix`, or no layers where the table expects them. The class
    is asked, since wrappers pass the questions about their attributes on.
    """
    prefix, config = getattr(type(module), "base_model_prefix", None), getattr(module, "config", None)
    family = _FAMILY_OF_TYPE.get(str(getattr(config, "model_type", None)).removeprefix(IRREGULAR))
    if not isinstance(prefix, str) or family is None or getattr(config, "is_encoder_decoder", False):
        return None
    parts = [path, prefix if prefix in module._modules else ""]
    base = Encoder("".join(f"{part}." for part in parts if part), family, config)
    return base if _has_layers(module, parts[1], family) else None


def _has_layers(module: nn.Module, inner: str, family: Family) -> bool:
    """Return whether the container of the layers is where the table says."""
    container = family.layers.partition(".{}")[0]
    try:
        module.get_submodule(f"{inner}.{container}" if inner else container)
    except AttributeError:
        return False
    return True
