"""Squared gradients of linear layers, text by text, of what the model itself predicts: the Fisher matrix's diagonal.

The expectation is over the model's own distribution, so that no labels are needed: exact up to a few classes, drawn
beyond, and for the classes of tokens. A model without a head for texts is asked for random projections of its
embeddings.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..data.held_back import Batches
from ..data.outputs import Output
from ..scores.statistics import Gradients
from ..undisturbed import differentiable

EXACT_CLASSES = 8
"""Up to so many classes the expectation is exact; beyond, one class is drawn for each answer."""
PROJECTIONS = 4
"""Random projections of each embedding."""
_TEXTS = 4
"""Texts whose gradients of single entries are made at a time."""


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
        batch = {name: differentiable(value) for name, value in used.items()}
        labels = None if batches.labels is None else differentiable(batches.labels[number])
        with torch.enable_grad(), _watching(model, sums) as seen:
            rows = output.rows(model, batch)
            one_each = len(rows) == len(next(iter(batch.values())))
            goals = list(_goals(rows, output, labels, one_each, generator))
            for at, (goal, weights) in enumerate(goals):
                goal.backward(retain_graph=at + 1 < len(goals))  # type: ignore[no-untyped-call]
                for module, (given, slopes) in seen.items():
                    sums[module].add(given, slopes, weights)
    texts = batches.texts
    return {module: one.result(texts) for module, one in sums.items()}


def _goals(
    rows: Tensor, output: Output, labels: Tensor | None, one_each: bool, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield what is differentiated, summed over the batch, and with which weights the texts' gradients count.

    The exact expectation needs one row for each text (`one_each`), as a text's tokens cannot be told apart.
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
    if labels is None and one_each and rows.shape[1] <= EXACT_CLASSES:
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

    def add(self, given: Tensor, slopes: Tensor, weights: Tensor | None) -> None:
        """Add a batch's inputs and the gradients of its outputs, (texts × tokens × width) both."""
        given, slopes = _by_text(given), _by_text(slopes)
        if weights is not None and len(weights) == len(slopes):
            slopes = slopes * weights.view(-1, 1, 1)
        weight = self.module.weight.detach().float()
        self.columns.append((given * (slopes @ weight)).sum(1))
        self.rows.append((given @ weight.T * slopes).sum(1))
        if self.squared is not None:
            for start in range(0, len(given), _TEXTS):
                part = slice(start, start + _TEXTS)
                self.squared += (slopes[part].transpose(1, 2) @ given[part]).square_().sum(0)

    def result(self, texts: int) -> Gradients:
        return Gradients(self.squared, torch.cat(self.columns), torch.cat(self.rows), texts)


def _by_text(values: Tensor) -> Tensor:
    """Give what is one row a text an axis of tokens."""
    values = values.detach().float()
    return values[:, None] if values.dim() == 2 else values.reshape(len(values), -1, values.shape[-1])


@contextmanager
def _watching(model: nn.Module, sums: dict[nn.Linear, Any]) -> Iterator[dict[nn.Linear, tuple[Tensor, Tensor]]]:
    """Collect the input of each layer and, in a backward pass, the gradient of its output."""
    seen: dict[nn.Linear, tuple[Tensor, Tensor]] = {}

    def begin(module: nn.Module, args: Any, found: Tensor) -> Tensor:
        return found if found.requires_grad else found.detach().requires_grad_()

    def watch(module: nn.Module, args: tuple[Any, ...], found: Tensor) -> None:
        assert isinstance(module, nn.Linear)
        given = args[0].detach()
        if found.requires_grad:
            found.register_hook(lambda slopes: seen.__setitem__(module, (given, slopes)))  # type: ignore[no-untyped-call]

    inputs = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    handles = [module.register_forward_hook(begin) for module in inputs]
    handles += [module.register_forward_hook(watch) for module in sums]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
