"""Calibration texts as a model takes them, and which of them are held back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, Note, kind_of, shortened
from ..recipe import CalibrationRecord
from .batches import Batch

HELD_BACK = 5
"""One text in so many is held back, to see whether what the others teach holds there."""
_TOGETHER = 8
"""Texts in a batch, so few that they need little padding."""
_Part = tuple[Batch, Tensor | None]
"""Some texts, and their labels where they have them."""


@dataclass(frozen=True)
class Batches:
    """Calibration texts as a model takes them."""

    used: Sequence[Batch]
    """Batches of similar length, padded; one text in five is in a batch of those held back."""
    held_back: Sequence[bool]
    """Whether each batch is held back."""
    record: CalibrationRecord | None = None
    labels: Sequence[Tensor] | None = None
    """The class numbers by batch, where the texts have labels."""
    notes: tuple[Note, ...] = ()

    @property
    def texts(self) -> int:
        """How many texts there are."""
        return sum(len(_first(batch)) for batch in self.used)

    def to(self, device: torch.device) -> "Batches":
        """Return the same on a device."""
        used = [{name: value.to(device) for name, value in batch.items()} for batch in self.used]
        return replace(self, used=used)

    def only(self, held_back: bool) -> "Batches":
        """Return the texts that are held back, or the others, in the same order."""
        chosen = [number for number, back in enumerate(self.held_back) if back == held_back]
        labels = None if self.labels is None else [self.labels[number] for number in chosen]
        return replace(
            self, used=[self.used[number] for number in chosen], held_back=[held_back] * len(chosen), labels=labels
        )

    def thinned(self, most: int) -> "Batches":
        """Return at most so many texts, or a few more: every second or third of each batch, of any length alike."""
        step = max(1, self.texts // most)
        labels = None if self.labels is None else [one[::step] for one in self.labels]
        return replace(
            self, used=[{name: one[::step] for name, one in batch.items()} for batch in self.used], labels=labels
        )

    def trimmed(self) -> "Batches":
        """Return the same texts in the same order in smaller batches, which are padded less: these compute faster."""
        parts = [
            (_unpadded({name: one[start : start + _TOGETHER] for name, one in batch.items()}), back, start, number)
            for number, (batch, back) in enumerate(zip(self.used, self.held_back, strict=True))
            for start in range(0, len(_first(batch)), _TOGETHER)
        ]
        labels = self.labels
        return replace(
            self,
            used=[batch for batch, *_ in parts],
            held_back=[back for _, back, *_ in parts],
            labels=None if labels is None else [labels[at][start : start + _TOGETHER] for *_, start, at in parts],
        )

    def split(self) -> "Batches":
        """Return the same texts with one in five of them held back, whichever were before."""
        labels = [None] * len(self.used) if self.labels is None else self.labels
        parts = list(_split(zip(self.used, labels, strict=True)))
        known = [label for (_, label), _ in parts if label is not None]
        return replace(
            self, used=[batch for (batch, _), _ in parts], held_back=[back for _, back in parts], labels=known or None
        )

    @property
    def tokens(self) -> int:
        """How many tokens there are, without padding."""
        return sum(int(_mask(batch).sum()) for batch in self.used)


def given_batches(given: Iterable[Mapping[str, Any]]) -> Batches:
    """Take batches as a model takes them, mappings of tensors whose first axis is the text. Raises DataError."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise DataError(
            "calibration is {kind}: expected a list of batches, mappings of tensors as the model takes them",
            code="calibration.batches", kind=kind_of(given),
        )  # fmt: skip
    parts = list(_split((_batch(one, number), None) for number, one in enumerate(given, start=1)))
    if not parts:
        raise DataError("calibration has no batches: expected at least one", code="calibration.no_batches")
    return Batches([batch for (batch, _), _ in parts], [back for _, back in parts])


def _split(batches: Iterable[_Part]) -> Iterator[tuple[_Part, bool]]:
    """Split batches, and their labels, by whether their texts are held back: one in five, counted over all of them.

    What is held back of batches of one shape is joined, since many small batches take longer.
    """
    seen, waiting = 0, dict[Any, list[_Part]]()
    for batch, labels in batches:
        rows = torch.arange(seen, seen + len(_first(batch)), device=_first(batch).device)
        seen += len(rows)
        back = rows % HELD_BACK == HELD_BACK - 1
        if not back.all():
            yield _rows(batch, labels, ~back), False
        if back.any():
            shape = tuple((name, value.shape[1:], value.dtype, value.device) for name, value in batch.items())
            held = waiting.setdefault(shape, [])
            held.append(_rows(batch, labels, back))
            if sum(len(_first(part)) for part, _ in held) >= len(rows):
                yield _joined(waiting.pop(shape)), True
    for held in waiting.values():
        yield _joined(held), True


def _unpadded(batch: Batch) -> Batch:
    """Cut what all texts of a batch are padded with at their ends."""
    mask = _mask(batch)
    longest = int(mask.any(dim=0).nonzero().max()) + 1
    return {name: value[:, :longest] if value.shape == mask.shape else value for name, value in batch.items()}


def _rows(batch: Batch, labels: Tensor | None, chosen: Tensor) -> _Part:
    part = {name: value[chosen.to(value.device)] for name, value in batch.items()}
    return part, None if labels is None else labels[chosen.to(labels.device)]


def _joined(parts: Sequence[_Part]) -> _Part:
    labels = [known for _, known in parts if known is not None]
    batch = {name: torch.cat([part[name] for part, _ in parts]) for name in parts[0][0]}
    return batch, torch.cat(labels) if labels else None


def _batch(given: Any, number: int) -> Batch:
    """Check one batch. Raises DataError."""
    if not (isinstance(given, Mapping) and given and all(isinstance(value, Tensor) for value in given.values())):
        raise DataError(
            "calibration batch {number} is {kind}: expected a mapping of tensors, as the model takes them",
            code="calibration.batch", number=number, kind=kind_of(given),
        )  # fmt: skip
    texts = {tuple(value.shape[:1]) for value in given.values()}
    if len(texts) > 1 or texts & {(), (0,)}:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in given.items())
        raise DataError(
            "calibration batch {number}: the first axis of every tensor is the text; the shapes are {shapes}",
            code="calibration.batch_shapes", number=number, shapes=shortened(shapes),
        )  # fmt: skip
    return dict(given)


def _first(batch: Batch) -> Tensor:
    return next(iter(batch.values()))


def _mask(batch: Batch) -> Tensor:
    return batch["attention_mask"] if "attention_mask" in batch else _first(batch).new_ones(_first(batch).shape[:2])
