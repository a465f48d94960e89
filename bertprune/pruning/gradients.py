"""Squared gradients of linear layers, text by text, of what the model itself predicts: the Fisher matrix's diagonal.

The expectation is over the model's own distribution, so that no labels are needed: exact up to a few classes, drawn
beyond, and for the classes of tokens. A model without a head for texts is asked for random projections of its
embeddings.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.batches import Batch
from ..data.held_back import Batches
from ..data.outputs import Output
from ..scores.statistics import Gradients
from ..undisturbed import differentiable

EXACT_CLASSES = 8
"""Up to so many classes the expectation is exact; beyond, one class is drawn for each answer."""
PROJECTIONS = 4
"""Random projections of each embedding."""
_TOKENS = 1024
"""Tokens in one pass, padding included; their gradients take 0.8 GB in a model of BERT's usual size."""
_TEXTS = 4
"""Texts whose gradients of single entries are made at a time."""
_Call = tuple[Tensor, Tensor]
"""What a layer reads in one call, and the gradient of what it returns."""


def gradients(
    model: nn.Module,
    batches: Batches,
    output: Output,
    modules: Sequence[nn.Linear],
    entries: bool,
    generator: torch.Generator,
) -> dict[nn.Linear, Gradients]:
    """Return the squared gradients of linear layers over all texts; of single entries only where `entries` says so.

    The model's weights have no gradients of their own and stay as they are.
    """
    sums = {module: _Sums(module, entries) for module in modules}
    for number, used in enumerate(batches.used):
        whole = {name: differentiable(value) for name, value in used.items()}
        labels = None if batches.labels is None else differentiable(batches.labels[number])
        for part in _parts(whole, labels, max(1, _TOKENS // _length(whole))):
            try:
                _add(model, *part, output, sums, generator)
            except _Shared:
                for text in _parts(*part, 1):
                    _add(model, *text, output, sums, generator)
    texts = batches.texts
    return {module: one.result(texts) for module, one in sums.items()}


class _Shared(Exception):
    """Ends a pass in which a layer reads something that all texts share, as DeBERTa's relative positions."""


def _texts_in(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _length(batch: Batch) -> int:
    return max((value.shape[1] for value in batch.values() if value.dim() > 1), default=1)


def _parts(batch: Batch, labels: Tensor | None, size: int) -> Iterator[tuple[Batch, Tensor | None]]:
    """Yield so many texts of a batch at a time, with their labels."""
    for start in range(0, _texts_in(batch), size):
        part = slice(start, start + size)
        yield {name: value[part] for name, value in batch.items()}, None if labels is None else labels[part]


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
            seen.clear()
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

    def __init__(self, module: nn.Linear, entries: bool) -> None:
        self.module = module
        self.squared = torch.zeros_like(module.weight, dtype=torch.float32) if entries else None
        self.columns: list[Tensor] = []
        self.rows: list[Tensor] = []

    def add(self, calls: "Sequence[_Call]", texts: int, weights: Tensor | None) -> None:
        """Add what the layer's calls for so many texts tell; a text's gradient is the sum over all of them."""
        weight = self.module.weight.detach().float()
        columns, rows = weight.new_zeros(texts, weight.shape[1]), weight.new_zeros(texts, weight.shape[0])
        scaled = [(_by_text(given, texts), _by_text(slopes, texts)) for given, slopes in calls]
        if weights is not None:
            scaled = [(given, slopes * weights.view(-1, 1, 1)) for given, slopes in scaled]
        for given, slopes in scaled:
            columns += (given * (slopes @ weight)).sum(1)
            rows += (given @ weight.T * slopes).sum(1)
        self.columns.append(columns)
        self.rows.append(rows)
        for start in range(0, texts if self.squared is not None and scaled else 0, _TEXTS):
            self._square([(given[start : start + _TEXTS], slopes[start : start + _TEXTS]) for given, slopes in scaled])

    def _square(self, calls: "Sequence[_Call]") -> None:
        """Add the squared gradients of single entries for a few texts."""
        assert self.squared is not None
        total = sum(slopes.transpose(1, 2) @ given for given, slopes in calls)
        assert isinstance(total, Tensor)
        self.squared += total.square_().sum(0)

    def result(self, texts: int) -> Gradients:
        return Gradients(self.squared, torch.cat(self.columns), torch.cat(self.rows), texts)


def _by_text(values: Tensor, texts: int) -> Tensor:
    """Give values of so many texts an axis of tokens, (texts × tokens × width)."""
    return values.detach().float().reshape(texts, -1, values.shape[-1])


@contextmanager
def _watching(modules: Iterable[nn.Linear], texts: int) -> Iterator[dict[nn.Linear, list[_Call]]]:
    """Collect each call of the layers: its input and, in a backward pass, the gradient of its output."""
    seen: dict[nn.Linear, list[_Call]] = {}

    def watch(module: nn.Module, args: tuple[Any, ...], found: Tensor) -> Tensor:
        assert isinstance(module, nn.Linear)
        given = args[0].detach()
        if len(given) != texts > 1:
            raise _Shared
        if not found.requires_grad:
            found = found.detach().requires_grad_().clone()  # the model may write into it

        def keep(slopes: Tensor) -> None:
            seen.setdefault(module, []).append((given, slopes))

        found.register_hook(keep)  # type: ignore[no-untyped-call]
        return found

    handles = [module.register_forward_hook(watch) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
