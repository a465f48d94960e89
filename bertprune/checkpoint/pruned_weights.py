"""Stored tensors of a pruned model: `…_orig` and `…_mask`, shown under the names that they have without hooks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError, shortened
from ..parallel import Progress, silent
from .headers import TensorFact
from .weights import Read, Weights

if TYPE_CHECKING:
    from torch import Tensor

_PRUNABLE = ("weight", "bias")
"""Local names under which a lone mask is one of pruning; models have other buffers that end in `_mask`."""


class PrunedWeights:
    """Represent the dense tensors of a pruned model, and its masks apart from them."""

    def __init__(self, stored: Weights, masked: Sequence[str]) -> None:
        """Show the tensors by their dense names; `masked` are those of the tensors that have a mask."""
        self._stored = stored
        self._stored_as = {name: f"{name}_orig" for name in masked}
        self.files, self.bytes = stored.files, stored.bytes
        dense = {at: name for name, at in self._stored_as.items()}
        hidden = {f"{name}_mask" for name in masked}
        shown = (fact for fact in stored.tensors if fact.name not in hidden)
        self.tensors = tuple(TensorFact(dense.get(fact.name, fact.name), fact.shape, fact.dtype) for fact in shown)

    @property
    def masked(self) -> tuple[str, ...]:
        """Return the dense names of the tensors that have a mask."""
        return tuple(self._stored_as)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the local files."""
        return self._stored.paths

    def fetch(self, progress: Progress = silent) -> None:
        """Download the files that are not here yet."""
        self._stored.fetch(progress)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the files; tensors are read by their dense names."""
        with self._stored.reader() as read:
            yield lambda name: read(self._stored_as.get(name, name))

    def same(self, one: str, other: str) -> bool:
        """Return whether two dense tensors hold the same values."""
        return self._stored.same(self._stored_as.get(one, one), self._stored_as.get(other, other))

    def masks(self) -> "dict[str, Tensor]":
        """Read all masks as bool, by dense name; raises CheckpointError where one holds anything but 0 and 1."""
        self.fetch()
        with self._stored.reader() as read:
            return {name: _as_bool(read(f"{name}_mask"), name, self.files[0]) for name in self._stored_as}


def find_pruned(stored: Weights) -> PrunedWeights | None:
    """Return the weights as those of a pruned model, or None where nothing is; raises CheckpointError if unclear."""
    facts, file = {fact.name: fact for fact in stored.tensors}, (stored.files or ("",))[0]
    _refuse_scores(facts, file)
    dense = [name.removesuffix("_orig") for name in facts if name.endswith("_orig")]
    masks = [name.removesuffix("_mask") for name in facts if name.endswith("_mask")]
    for name in dense:
        _check(name, facts, file)
    lone = (name for name in masks if f"{name}_orig" not in facts)
    if odd := [name for name in lone if name in facts or name.rpartition(".")[2] in _PRUNABLE]:
        raise CheckpointError(
            "{file} holds a mask for {tensor!r}, but no {tensor}_orig, as where a tied tensor is saved under its other"
            " name; both are needed: bake the model before saving it (bp.bake), or use"
            " bp.export(model, out, like=checkpoint)",
            code="checkpoint.mask_alone", file=file, tensor=shortened(odd[0], 80),
        )  # fmt: skip
    return PrunedWeights(stored, dense) if dense else None


def _refuse_scores(names: Iterable[str], file: str) -> None:
    if any(name.endswith("mask_scores") for name in names):
        raise CheckpointError(
            "{file} holds mask_scores of movement pruning (masked_bert), which only its own code turns into weights;"
            " run bertarize.py of that project on it, and open the folder that it writes",
            code="checkpoint.mask_scores", file=file,
        )  # fmt: skip


def _check(name: str, facts: Mapping[str, TensorFact], file: str) -> None:
    tensor = shortened(name, 80)
    if name in facts:
        raise CheckpointError(
            "{file} contains {tensor!r} both with and without a mask, as where transformers joins a masked tensor with"
            " others on saving: use bp.export(model, out, like=checkpoint), or bake the model first (bp.bake)",
            code="checkpoint.masked_twice", file=file, tensor=tensor,
        )  # fmt: skip
    mask = facts.get(f"{name}_mask")
    if mask is None:
        raise CheckpointError(
            "{file} holds {tensor}_orig, but no {tensor}_mask; both are needed to open a pruned model",
            code="checkpoint.no_mask", file=file, tensor=tensor,
        )  # fmt: skip
    if mask.shape != facts[f"{name}_orig"].shape or mask.dtype.startswith("complex"):
        raise CheckpointError(
            "{file}: the mask of {tensor!r} does not fit its tensor",
            code="checkpoint.mask_does_not_fit", file=file, tensor=tensor,
        )  # fmt: skip


def _as_bool(mask: "Tensor", name: str, file: str) -> "Tensor":
    from ..model.state import as_bool

    kept = as_bool(mask)
    if kept is None:
        raise CheckpointError(
            "{file}: the mask of {tensor!r} holds other values than 0 and 1",
            code="checkpoint.mask_values", file=file, tensor=shortened(name, 80),
        )  # fmt: skip
    return kept
