"""Collect what linear layers read while a model runs on calibration texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import RecipeError
from ..scores.statistics import Inputs

_SPAN = 256
"""Columns whose products with all others to their right are summed at once."""


class _AllRead(Exception):
    """Ends a run whose rest is not needed."""


class LayerInputs:
    """The inputs of linear layers, summed over batches. Layers that read the same tensor share one sum."""

    def __init__(self, modules: Sequence[nn.Linear], products: bool) -> None:
        """Start with nothing. Only with `products` are the inputs' products summed."""
        self.modules, self.products = modules, products
        self._first: list[tuple[Tensor, nn.Linear]] = []
        """The tensors of this batch, kept alive, with the layer that read each first."""
        self._leader: dict[nn.Linear, nn.Linear] = {}
        self._squares: dict[nn.Linear, Tensor] = {}
        self._gram: dict[nn.Linear, Tensor] = {}
        """The upper triangles of the sums of x xᵀ; what is below is not complete."""
        self._tokens: dict[nn.Linear, int] = {}
        self._usual_reads: int | None = None
        """How often the layers were called for the first batch."""

    def copy(self) -> "LayerInputs":
        """Return what was read so far."""
        other = LayerInputs(self.modules, self.products)
        other._leader, other._tokens, other._usual_reads = dict(self._leader), dict(self._tokens), self._usual_reads
        other._squares = {module: sums.clone() for module, sums in self._squares.items()}
        other._gram = {module: sums.clone() for module, sums in self._gram.items()}
        return other

    @contextmanager
    def listening(self, batch: dict[str, Tensor], passes: int) -> Iterator[None]:
        """Add what the layers read while a batch goes through the model; the block ends when nothing more is to come.

        That is known where each layer reads all tokens in each of so many `passes`, and no more calls were made for
        the first batch, which goes all the way.
        """
        mask = batch.get("attention_mask")
        reads, whole = 0, True

        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            nonlocal reads, whole
            assert isinstance(module, nn.Linear)
            self._add(module, args[0], mask)
            reads, whole = reads + 1, whole and mask is not None and args[0].shape[:-1] == mask.shape
            if whole and reads == self._usual_reads == passes * len(self.modules):
                raise _AllRead

        self._first.clear()
        handles = [module.register_forward_pre_hook(hook) for module in self.modules]
        try:
            yield
        except _AllRead:
            pass
        finally:
            for handle in handles:
                handle.remove()
        if self._usual_reads is None:
            self._usual_reads = reads

    def _add(self, module: nn.Linear, given: Tensor, mask: Tensor | None) -> None:
        """Add what a layer reads, without padding."""
        if module not in self._leader:
            self._leader[module] = next((first for tensor, first in self._first if tensor is given), module)
            self._first.append((given, module))
        if self._leader[module] is not module:
            return
        x = without_padding(given.detach(), mask).float()
        width = x.shape[1]
        if module not in self._tokens:
            self._tokens[module] = 0
            self._squares[module] = x.new_zeros(width, dtype=torch.float64)
            if self.products:
                self._gram[module] = x.new_zeros(width, width)
        self._tokens[module] += len(x)
        self._squares[module] += x.square().sum(0, dtype=torch.float64)
        if self.products:
            for start in range(0, width, _SPAN):
                rows = slice(start, start + _SPAN)
                self._gram[module][rows, start:].addmm_(x[:, rows].T, x[:, start:])

    def known(self, module: nn.Linear, name: str) -> Inputs:
        """Return what the layer of a tensor of that name read. Raises RecipeError if it was never called."""
        found = self.of(module)
        if found is None:
            raise RecipeError(
                "{tensor} reads nothing on the calibration texts: the model never calls its layer",
                code="calibration.unread", tensor=name,
            )  # fmt: skip
        return found

    def of(self, module: nn.Linear) -> Inputs | None:
        """Return what one layer read; None if it was never called."""
        leader = self._leader.get(module)
        if leader is None:
            return None
        squares = self._squares[leader]
        gram = self._gram[leader].double().triu_() if self.products else squares.new_empty(0, 0)
        gram += gram.triu(1).T
        return Inputs(squares.sqrt(), self._tokens[leader], gram)


def without_padding(states: Tensor, mask: Tensor | None) -> Tensor:
    """Return the states of all tokens of a batch, (tokens × width)."""
    rows = states.reshape(-1, states.shape[-1])
    if mask is None or states.shape[:-1] != mask.shape or mask.all():
        return rows
    return rows[mask.to(rows.device).reshape(-1) != 0]
