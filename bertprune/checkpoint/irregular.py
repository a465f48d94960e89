"""Models whose layers have unequal shapes: beside each family's model type one of ours, by transformers' own classes.

`config.json` of such a model has the model type `bertprune-bert` (and so on), and says how many neurons and which heads
each layer has. transformers' own classes build it with equal layers, which are then made smaller. transformers' auto
classes know these types once `register` has been called, which `import bertprune` sees to; without it they refuse the
folder as one of an unknown type.
"""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..model.family_tables import FAMILIES, IRREGULAR, Family

Loads = Literal["plain", "bertprune", "anywhere"]
"""What is needed to load a model: transformers alone, or with bertprune installed beside it, or just onnxruntime."""

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

Named = TypeVar("Named")
_OURS = ("model_type", "kept_neurons", "kept_heads", "architectures", "transformers_version")
_NAME = "Irregular"
"""What the names of our classes begin with; the name of transformers' class follows."""
_FAMILY_OF_TYPE = {kind: family for family in FAMILIES for kind in family.types}
ENCODERS = {"t5": {"T5Model": "T5EncoderModel", "T5EncoderModel": "T5EncoderModel"}}
"""Of families that are more than an encoder: the class of the encoder alone, by the class that an auto class has."""

_making = threading.RLock()
_configs: dict[str, "type[PreTrainedConfig]"] = {}
_classes: dict["type[PreTrainedModel]", "type[PreTrainedModel]"] = {}


def register() -> None:
    """Let transformers' auto classes load the irregular models that `export(form="small")` writes.

    `import bertprune` does the same as soon as those classes are imported, so that a call is hardly ever needed. It may
    be called any number of times.

    Example:
        >>> import bertprune as bp
        >>> bp.register()
        >>> from transformers import AutoConfig
        >>> AutoConfig.for_model("bertprune-bert").kept_neurons is None
        True
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    for kind in _FAMILY_OF_TYPE:
        if IRREGULAR + kind not in CONFIG_MAPPING:
            CONFIG_MAPPING.register(IRREGULAR + kind, _WhenUsed(kind))


class _WhenUsed:
    """Stand for a config class that is made when first used: until then, that of transformers may be half imported."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self.__name__ = f"{_NAME}:{kind}"

    def __call__(self, *given: Any, **values: Any) -> "PreTrainedConfig":
        """Make a config."""
        return irregular_config(self._kind)(*given, **values)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the class."""
        return getattr(irregular_config(self._kind), name)


def irregular_config(kind: str) -> "type[PreTrainedConfig]":
    """Return the config class of irregular models beside the model type of a family; it and its models are registered.

    From then on, transformers' auto classes build these models for every task, and find their tokenizers.
    """
    with _making:
        if kind not in _configs:
            _configs[kind] = _make_config(kind)
            _register(kind, _configs[kind])
        return _configs[kind]


def irregular_class(dense: "type[PreTrainedModel]") -> "type[PreTrainedModel]":
    """Return the class of irregular models beside one of transformers' classes."""
    with _making:
        irregular_config(dense.config_class.model_type)  # which makes the classes for all tasks, perhaps this one
        if dense not in _classes:
            _classes[dense] = _make_class(dense)
        return _classes[dense]


def _make_config(kind: str) -> "type[PreTrainedConfig]":
    family, regular = _FAMILY_OF_TYPE[kind], _regular_config(kind)

    class IrregularConfig(regular):  # type: ignore[misc, valid-type]
        model_type = IRREGULAR + kind
        kept_neurons: list[int] | None = None
        """How many neurons each layer has; None for the same in all."""
        kept_heads: list[list[int]] | None = None
        """Which heads each layer has, by their numbers in the model that they were taken from; None for all."""

        def __post_init__(self, **more: Any) -> None:
            super().__post_init__(**more)
            _check(self, family)

    return _named(IrregularConfig, regular)


def _make_class(dense: "type[PreTrainedModel]") -> "type[PreTrainedModel]":
    kind = dense.config_class.model_type
    config_cls, family = irregular_config(kind), _FAMILY_OF_TYPE[kind]

    class IrregularModel(dense):  # type: ignore[misc]
        config_class = config_cls

        def __init__(self, config: Any, *given: Any, **more: Any) -> None:
            from ..model.resize import resize

            super().__init__(config, *given, **more)
            if config.kept_neurons is not None:
                resize(self, config.kept_neurons, [len(kept) for kept in config.kept_heads])
                if family.shared_bias:
                    from .shared_bias import take_bias_of

                    take_bias_of(self, config.kept_heads)

    return _named(IrregularModel, dense)


def _register(kind: str, irregular: "type[PreTrainedConfig]") -> None:
    """Tell transformers' auto classes of the config, of its model for each task, and of its tokenizer."""
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.auto_factory import _BaseAutoModelClass
    from transformers.models.auto.configuration_auto import AutoConfig
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

    regular = _regular_config(kind)
    AutoConfig.register(IRREGULAR + kind, irregular, exist_ok=True)
    found: list[Any] = [one for one in vars(modeling_auto).values() if isinstance(one, type)]
    for auto in found:
        if issubclass(auto, _BaseAutoModelClass) and auto._model_mapping is not None:
            for dense in _encoders(kind, auto._model_mapping.get(regular, ())):
                auto.register(irregular, irregular_class(dense), exist_ok=True)
    if (tokenizer := TOKENIZER_MAPPING.get(regular, None)) is not None:
        TOKENIZER_MAPPING.register(irregular, tokenizer, exist_ok=True)


def find_irregular(name: str) -> "type[PreTrainedModel] | type[PreTrainedConfig] | None":
    """Find a class of ours by its name; None where there is no such class."""
    import transformers

    dense = getattr(transformers, name.removeprefix(_NAME), None) if name.startswith(_NAME) else None
    if not isinstance(dense, type):
        return None
    kind = str(getattr(getattr(dense, "config_class", dense), "model_type", None))
    if kind not in _FAMILY_OF_TYPE:
        return None
    return irregular_config(kind) if dense is _regular_config(kind) else irregular_class(dense)


def reshaped(
    model: "nn.Module", neurons: Sequence[int], heads: Sequence[Sequence[int]]
) -> "tuple[type[PreTrainedModel], PreTrainedConfig]":
    """Return class and config of a model with other shapes: transformers' own where all layers are equal, else ours.

    `neurons` is how many each layer has, and `heads` are the positions of those that stay among those that it has now.
    """
    from ..model.families import encoder

    base = encoder(model)
    assert base is not None
    config: Any = model.config
    kind = str(config.model_type).removeprefix(IRREGULAR)
    before = getattr(config, "kept_heads", None) or [range(base.heads)] * len(heads)
    kept = [[now[at] for at in stay] for now, stay in zip(before, heads, strict=True)]
    values = {key: value for key, value in config.to_dict().items() if key not in _OURS}
    values[base.family.width] = max(neurons)
    dense = type(model).__bases__[0] if type(model).__name__.startswith(_NAME) else type(model)
    if len(set(neurons)) == 1 and all(len(one) == base.heads for one in kept):
        return dense, _regular_config(kind).from_dict(values)
    shapes = {"kept_neurons": list(neurons), "kept_heads": kept}
    return irregular_class(dense), irregular_config(kind).from_dict(values | shapes)


def as_regular(config: "PreTrainedConfig") -> "PreTrainedConfig":
    """Return the config for others than transformers, which know its own types: of the widest layer, with all heads."""
    if not is_irregular(config):
        return config
    values = {key: value for key, value in config.to_dict().items() if key not in _OURS}
    regular = _regular_config(str(config.model_type).removeprefix(IRREGULAR)).from_dict(values)
    regular.architectures = [name.removeprefix(_NAME) for name in config.architectures or ()]
    return regular


def is_irregular(config: "PreTrainedConfig") -> bool:
    """Return whether a config is one of ours, so that bertprune is needed to load its model."""
    return str(config.model_type).startswith(IRREGULAR)


def _regular_config(kind: str) -> "type[PreTrainedConfig]":
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    regular: type[PreTrainedConfig] = CONFIG_MAPPING[kind]
    return regular


def _encoders(kind: str, found: Any) -> "tuple[type[PreTrainedModel], ...]":
    """Return the classes that an auto class has for a model type and that hold an encoder alone."""
    import transformers

    several = tuple(found) if isinstance(found, tuple | list) else (found,)
    if kind not in ENCODERS:
        return several
    return tuple(
        getattr(transformers, ENCODERS[kind][one.__name__]) for one in several if one.__name__ in ENCODERS[kind]
    )


def _check(config: Any, family: Family) -> None:
    """Refuse numbers of neurons and heads that no layer can have. Raises ValueError."""
    from ..model.families import Encoder

    neurons, heads = config.kept_neurons, config.kept_heads
    if neurons is None and heads is None:
        return
    if not (isinstance(neurons, list) and isinstance(heads, list) and len(neurons) == len(heads)):
        raise ValueError("kept_neurons and kept_heads are not lists with one entry for each layer")
    base = Encoder("", family, config)
    if not all(type(number) is int and 0 < number <= base.neurons for number in neurons):
        raise ValueError(f"kept_neurons holds something other than numbers from 1 to {base.neurons}")
    for kept in heads:
        if not (
            isinstance(kept, list) and kept and set(kept) <= set(range(base.heads)) and len(set(kept)) == len(kept)
        ):
            raise ValueError(f"kept_heads holds something other than lists of heads from 0 to {base.heads - 1}")


def _named(cls: type[Named], dense: type) -> type[Named]:
    """Give a class the name under which it is found in this file, so that it can be pickled."""
    cls.__name__ = cls.__qualname__ = f"{_NAME}{dense.__name__}"
    cls.__module__, cls.__doc__ = __name__, f"A {dense.__name__} whose layers have unequal shapes."
    return cls


def __getattr__(name: str) -> Any:
    """Find a class of ours by its name, as pickle does."""
    if not name.startswith("__") and (found := find_irregular(name)) is not None:
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
