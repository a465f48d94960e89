"""Squared gradients of linear layers, text by text, of what the model itself predicts: the Fisher matrix's diagonal.

The expectation is over the model's own distribution, so that no labels are needed: exact up to a few classes, drawn
beyond, and for the classes of tokens. A model without a head for texts is asked for random projections of its
embeddings.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..data.batches import Batch
from ..data.held_back import Batches
from ..data.outputs import Output
from ..scores.statistics import Gradients
from ..undisturbed import differentiable
from .steps import MatchedStep
from .walk import Walk

EXACT_CLASSES = 8
"""Up to so many classes the expectation is exact; beyond, one class is drawn for each answer."""
PROJECTIONS = 4
"""Random projections of each embedding."""
_TOKENS = 1024
"""Tokens in one pass, padding included; their gradients take 0.8 GB in a model of BERT's usual size."""
_TEXTS = 4
"""Texts whose gradients of single entries are made at a time."""
Detail = Literal["entries", "rows", "columns"]
"""What is scored: entries need everything, rows their own gradients too, all else those of columns alone."""
DETAILS: tuple[Detail, ...] = get_args(Detail)
"""The most first."""


@dataclass(eq=False)
class _Call:
    """One call of a layer: what it reads, and the gradients of what it returns and reads, once they are there."""

    given: Tensor
    slopes: Tensor | None = None
    back: Tensor | None = None

    def keep_slopes(self, gradient: Tensor) -> None:
        """Keep the gradient of what the layer returns."""
        self.slopes = gradient

    def keep_back(self, gradient: Tensor) -> None:
        """Keep the gradient of what it reads."""
        self.back = gradient


def detail_of(matched: MatchedStep) -> Detail:
    """Return what a step reads of its matrices' gradients; a method of the user's own may read everything."""
    if matched.kind in ("element", "pattern", "block") or not matched.method.built_in:
        return "entries"
    return "rows" if matched.kind == "row" else "columns"


def gradients(
    model: nn.Module,
    batches: Batches,
    output: Output,
    modules: Sequence[nn.Linear],
    detail: Detail,
    generator: torch.Generator,
    walk: Walk | None = None,
) -> dict[nn.Linear, Gradients]:
    """Return the squared gradients of linear layers over all texts, in as much detail as is scored.

    The model's weights have no gradients of their own and stay as they are. A `walk` of the same model and texts that
    is below all these layers saves computing again what leads there.
    """
    sums = {module: _Sums(module, detail) for module in modules}

    def add(number: int, texts: slice) -> None:
        batch = {name: differentiable(value[texts]) for name, value in batches.used[number].items()}
        labels = None if batches.labels is None else differentiable(batches.labels[number][texts])
        with nullcontext() if walk is None else walk.from_here(number, texts):
            _add(model, batch, labels, output, sums, generator)

    for number, batch in enumerate(batches.used):
        for part in _parts(0, _texts_in(batch), max(1, _TOKENS // _length(batch))):
            try:
                add(number, part)
            except _Shared:
                for text in _parts(part.start, part.stop, 1):
                    add(number, text)
    texts = batches.texts
    return {module: one.result(texts) for module, one in sums.items()}


class _Shared(Exception):
    """Ends a pass in which a layer reads something that all texts share, as DeBERTa's relative positions."""


def _texts_in(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _length(batch: Batch) -> int:
    return max((value.shape[1] for value in batch.values() if value.dim() > 1), default=1)


def _parts(start: int, stop: int, size: int) -> Iterator[slice]:
    """Yield equal parts of at most so many texts."""
    texts = stop - start
    each = math.ceil(texts / math.ceil(texts / size))
    for at in range(start, stop, each):
        yield slice(at, min(at + each, stop))


def _add(
    model: nn.Module,
    batch: Batch,
    labels: Tensor | None,
    output: Output,
    sums: "dict[nn.Linear, _Sums]",
    generator: torch.Generator,
) -> None:
    """Add the gradients of a batch's texts. Raises _Shared where they cannot be told apart."""
    texts = _texts_in(batch)
    with torch.enable_grad(), _watching(sums, texts) as seen:
        goals = list(_goals(output.rows(model, batch), output, labels, generator))
        for at, (goal, weights) in enumerate(goals):
            for call in (call for calls in seen.values() for call in calls):
                call.slopes = call.back = None
            if goal.requires_grad:
                goal.backward(retain_graph=at + 1 < len(goals))  # type: ignore[no-untyped-call]
            for module, one in sums.items():
                one.add(seen.get(module, []), texts, weights)


def _goals(
    rows: Tensor, output: Output, labels: Tensor | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield what is differentiated, summed over the batch, and with which weights the texts' gradients count.

    The exact expectation needs one row for each text, as a text's tokens cannot be told apart.
    """
    if not output.likelihood:
        width = rows.shape[1]
        for _ in range(PROJECTIONS if width > 1 else 1):
            direction = (
                torch.randn(width, generator=generator, device=generator.device).to(rows)
                if width > 1
                else rows.new_ones(1)
            )
            yield (rows @ direction).sum(), None
        return
    if labels is None and output.by_text and rows.shape[1] <= EXACT_CLASSES:
        shares = rows.detach().exp()
        for number in range(rows.shape[1]):
            yield rows[:, number].sum(), shares[:, number].sqrt()
        return
    if labels is None:
        labels = torch.multinomial(rows.detach().exp().cpu(), 1, generator=generator).flatten()
    yield rows.gather(1, labels.to(rows.device)[:, None]).sum(), None


class _Sums:
    """The gradients of one layer, text by text."""

    def __init__(self, module: nn.Linear, detail: Detail) -> None:
        self.module = module
        self.squared = torch.zeros_like(module.weight, dtype=torch.float32) if detail == "entries" else None
        self.columns: list[Tensor] = []
        self.rows: list[Tensor] | None = None if detail == "columns" else []

    def add(self, calls: Sequence[_Call], texts: int, weights: Tensor | None) -> None:
        """Add what the layer's calls for so many texts tell; a text's gradient is the sum over all of them."""
        weight = self.module.weight.detach().float()
        scale = 1.0 if weights is None else weights[:, None]
        columns, rows, read = weight.new_zeros(texts, weight.shape[1]), weight.new_zeros(texts, weight.shape[0]), []
        for call in calls:
            if call.slopes is None or call.back is None:  # no answer depends on it
                continue
            given, slopes = _by_text(call.given, texts), _by_text(call.slopes, texts)
            columns += (given * _by_text(call.back, texts)).sum(1) * scale
            if self.rows is not None:
                rows += (given @ weight.T * slopes).sum(1) * scale
            read.append((given, slopes if weights is None else slopes * weights.view(-1, 1, 1)))
        self.columns.append(columns)
        if self.rows is not None:
            self.rows.append(rows)
        for start in range(0, texts if self.squared is not None and read else 0, _TEXTS):
            self._square([(given[start : start + _TEXTS], slopes[start : start + _TEXTS]) for given, slopes in read])

    def _square(self, calls: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Add the squared gradients of single entries for a few texts."""
        assert self.squared is not None
        total = sum(slopes.transpose(1, 2) @ given for given, slopes in calls)
        assert isinstance(total, Tensor)
        self.squared += total.square_().sum(0)

    def result(self, texts: int) -> Gradients:
        """Join what was added, and forget it: all layers' gradients take hundreds of megabytes."""
        columns, rows = torch.cat(self.columns), None if self.rows is None else torch.cat(self.rows)
        self.columns, self.rows = [], None
        return Gradients(self.squared, columns, rows, texts)


def _by_text(values: Tensor, texts: int) -> Tensor:
    """Give values of so many texts an axis of tokens, (texts × tokens × width)."""
    return values.detach().float().reshape(texts, -1, values.shape[-1])


@contextmanager
def _watching(modules: Iterable[nn.Linear], texts: int) -> Iterator[dict[nn.Linear, list[_Call]]]:
    """Collect each call of the layers: its input and, in a backward pass, the gradients of both ends."""
    seen: dict[nn.Linear, list[_Call]] = {}

    def enter(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        assert isinstance(module, nn.Linear)
        if len(args[0]) != texts > 1:
            raise _Shared
        given = args[0].view_as(args[0])  # whose gradient is that of this layer alone
        given = given if given.requires_grad else given.requires_grad_()
        seen.setdefault(module, []).append(_Call(given.detach()))
        given.register_hook(seen[module][-1].keep_back)
        return (given, *args[1:])

    def leave(module: nn.Module, args: tuple[Any, ...], found: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        found.register_hook(seen[module][-1].keep_slopes)  # type: ignore[no-untyped-call]

    handles = [module.register_forward_pre_hook(enter) for module in modules]
    handles += [module.register_forward_hook(leave) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
