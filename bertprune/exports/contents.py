"""What an export consists of: values, masks, how they came about, and the tensors of the weight file."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.irregular import Loads, is_irregular
from ..checkpoint.loading import HALF, WIDENED
from ..checkpoint.weight_files import MASKED_FILE, ONNX_FILE
from ..errors import ExportError
from ..model.cuts import Cut, cut_config, without
from ..model.hooks import MaskDtype
from ..recipe import Recipe
from ..reports.sparsity import SparsityReport
from .likeness import LABELS
from .origin import Making, Origin
from .precision import Dtype

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Form = Literal["baked", "masked", "small", "onnx"]
WEIGHT_FILES: dict[Form, str] = {
    "baked": "model.safetensors",
    "masked": MASKED_FILE,
    "small": "model.safetensors",
    "onnx": str(ONNX_FILE),
}
"""The weight file of each form."""

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the pruned model's state dict."""

    name: str
    """The name in the file, such as `weight`; `weight_orig` and `weight_mask` where the form keeps masks."""
    dense_name: str
    """The name in the model without hooks."""
    dense_value: Tensor
    mask: Tensor | None = None
    is_mask: bool = False
    """Whether the entry is a mask, whose dtype on the model is not that in the file."""

    @property
    def value(self) -> Tensor:
        """Compute the value, float32 for weights; a masked value of a baked tensor is zero, with torch's sign."""
        return self.dense_value if self.mask is None else self.dense_value * self.mask


@dataclass(frozen=True, eq=False)
class Smaller:
    """The model that is left where neurons and heads were taken out."""

    model_class: "type[PreTrainedModel]"
    config: "PreTrainedConfig"
    neurons: tuple[int, ...]
    """How many each layer has."""
    heads: tuple[int, ...]
    """How many each layer has; those that share their keys and values are one."""
    parameters: tuple[int, int]
    """How many the model had before, and has now."""
    folded: tuple[str, ...] = ()
    """The biases that took over what was constant in what went."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that an export is made of, whichever form it takes; no model with hooks is needed."""

    checkpoint: Checkpoint
    """Where config, tokenizer and dtypes come from."""
    dense: Mapping[str, Tensor]
    """The values before masks by their names without hooks, tied ones under each name."""
    masks: Mapping[str, Tensor]
    """The masks by the same names: bool, True is alive."""
    ties: tuple[tuple[str, ...], ...]
    """The names of each tied tensor; the first is stored, and the others where transformers would not tie them."""
    origin: Origin
    sparsity: SparsityReport
    record: dict[str, Any]
    """The rest of `report.json`: versions, methods, what each step did, and what made each mask."""
    recipe: Recipe | None = None
    """None where it is not known."""
    seed: int | None = None
    changed: tuple[str, ...] = ()
    """The tensors whose values or masks are other than the checkpoint and the recipe give."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Values of config.json that are other than the checkpoint's: the names of labels."""
    smaller: Smaller | None = None
    """None for the model as it was built."""
    cut: Cut = Cut()
    """The layers that the folder lacks, by the numbers that they have in the checkpoint."""
    stored: Callable[[str], str] = str
    """Gives the name of a tensor in a file, where layers are numbered anew."""
    dtype: Dtype | None = None
    """The dtype to store; None for that of the source."""
    earlier: tuple[Making, ...] = ()
    """How the source was made, where that is an export, and the source of that, and so on; the first one first."""

    @property
    def model_class(self) -> "type[PreTrainedModel]":
        """The class of the model that is written."""
        return self.smaller.model_class if self.smaller else type(self.checkpoint.skeleton())

    @property
    def model_config(self) -> "PreTrainedConfig":
        """The config of the model that is written; a copy."""
        config = copy.deepcopy(self._shape)
        config.update(dict(self.config))
        config.architectures = [self.model_class.__name__]
        if self.dtype or self.is_wider:
            config.dtype = self.dtype or "float32"  # a loader that follows it keeps every digit
        return config

    def loads(self, form: Form) -> Loads:
        """Return what is needed to load the export."""
        if form == "onnx":
            return "anywhere"
        return "bertprune" if form == "masked" or is_irregular(self._shape) else "plain"

    @property
    def set_in_config(self) -> tuple[str, ...]:
        """The values of config.json that were set in the model, in that of an earlier export too."""
        given = self.record.get("config")
        before = [one for one in LABELS if one in given] if isinstance(given, list) else []
        return tuple(dict.fromkeys([*before, *self.config]))

    @property
    def mask_dtype(self) -> MaskDtype:
        """The dtype of the masks on the pruned model; in a file they are bool."""
        return "float" if self.record.get("mask_dtype") == "float" else "bool"

    @cached_property
    def is_wider(self) -> bool:
        """Whether changed values need more digits than the source's dtype has."""
        half = (name for name in self._other if self.checkpoint.source_dtype(name) in HALF)
        return any(self._dtype(name) == torch.float32 for name in half)

    @cached_property
    def skeleton(self) -> nn.Module:
        """The checkpoint's model without values, and without what is taken out."""
        return without(self.checkpoint.skeleton(), self.cut)

    @cached_property
    def _shape(self) -> "PreTrainedConfig":
        if self.smaller or not self.cut:
            return self.smaller.config if self.smaller else self.checkpoint.config
        config = copy.deepcopy(self.checkpoint.config)
        cut_config(config, self.cut)
        return config

    @property
    def _other(self) -> tuple[str, ...]:
        """The tensors whose values need not fit the dtype of the source."""
        return (*self.changed, *(self.smaller.folded if self.smaller else ()))

    def baked(self, name: str) -> Tensor:
        """Compute the values of a tensor with its masked ones zero."""
        return Entry(name, name, self.dense[name], self.masks.get(name)).value

    def entries(self, form: Form) -> Iterator[Entry]:
        """Yield every entry of the pruned model's state dict."""
        for name, value in self.dense.items():
            mask, stored = self.masks.get(name), self.stored(name)
            if mask is None or form != "masked":
                yield Entry(stored, name, value, mask)
            else:
                yield Entry(f"{stored}_orig", name, value)
                yield Entry(f"{stored}_mask", name, mask, is_mask=True)

    def tensors(self, form: Form) -> dict[str, Tensor]:
        """Compute what the weight file holds: tied tensors once, everything in the dtype of the source.

        Raises ExportError for a tied tensor with several masks, which the masked form cannot hold.
        """
        left_out = self._duplicates(form)
        return _apart(
            {entry.name: self.as_written(entry) for entry in self.entries(form) if entry.dense_name not in left_out}
        )

    def as_written(self, entry: Entry) -> Tensor:
        """Compute the value of an entry in the dtype to store. Raises ExportError where that cannot hold it."""
        value = entry.value
        if entry.is_mask:
            return value
        narrow = value.to(self._dtype(entry.dense_name))
        if self.dtype is not None and not bool((narrow.isfinite() | ~value.isfinite()).all()):
            raise ExportError(
                "{tensor} holds values up to {largest:.3g}, which {dtype} cannot hold: choose bfloat16 or float32",
                code="exports.too_large_for_dtype", tensor=entry.dense_name, largest=float(value.abs().max()),
                dtype=self.dtype,
            )  # fmt: skip
        return narrow

    def _duplicates(self, form: Form) -> frozenset[str]:
        """Name the tied tensors that are left out of a file; baked under another mask, one is no longer tied."""
        found = set()
        for first, *others in self.ties:
            alike = [name for name in others if self._are_alike(first, name, form)]
            if form == "masked" and len(alike) < len(others):
                other = next(name for name in others if name not in alike)
                raise ExportError(
                    "{tensor} and {other} are one tied tensor under different masks, which the masked form cannot hold;"
                    " export it baked",
                    code="exports.tied_masks", tensor=first, other=other,
                )  # fmt: skip
            found.update(alike)
        return frozenset(found)

    def _are_alike(self, first: str, other: str, form: Form) -> bool:
        """Return whether two names of a tied tensor have the same mask, or the same values where these are baked."""
        one, two = self.masks.get(first), self.masks.get(other)
        if same_mask(one, two):
            return True
        return form != "masked" and same_bits(*(Entry("", "", self.dense[first], mask).value for mask in (one, two)))

    def _dtype(self, name: str) -> torch.dtype:
        """Return the dtype to store: that of the source, where loading widened it and the values fit."""
        value, source = self.dense[name], self.checkpoint.source_dtype(name)
        if self.dtype is not None and value.is_floating_point():
            asked: torch.dtype = getattr(torch, self.dtype)
            return asked
        narrow: torch.dtype = getattr(torch, source)
        widened = value.dtype == torch.float32 and source in WIDENED and name not in self.checkpoint.missing
        fits = name not in self._other or same_bits(value.to(narrow).to(torch.float32), value)
        return narrow if widened and fits else value.dtype


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give each tensor a storage of its own: a weight file has no other way to hold two names of one."""
    seen: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone().contiguous() if storage in seen else tensor.contiguous()
        seen.add(storage)
    return tensors


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Compare two tensors bit by bit: zeros keep their signs, and NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    bits = _BITS[one.element_size()]
    return torch.equal(one.contiguous().view(bits), other.contiguous().view(bits))


def same_mask(one: Tensor | None, other: Tensor | None) -> bool:
    """Compare two masks; None is no mask."""
    return one is other or (one is not None and other is not None and torch.equal(one, other))
