"""Go through an encoder layer by layer with calibration texts: each layer sees what those below it now give.

The hidden states of all texts are kept at one place, and pushed through one layer at a time. They stay valid until
something below changes, so steps that prune one layer after the other cost one walk.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..data.batches import Batch
from ..data.held_back import Batches
from ..data.outputs import Output
from ..errors import BertpruneError, RecipeError, SelectionError
from ..model.families import layers
from ..parallel import Progress
from ..scores.method import describe_exception
from .layer_inputs import LayerInputs, without_padding

Call = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class _Calls:
    """What the model calls its layers with, for one batch, apart from the hidden states."""

    arguments: list[Call] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    """Which layer each call is of."""
    rest: list[tuple[Any, ...] | None] = field(default_factory=list)
    """What each call returned after the hidden states; None where it returned these alone."""


class Walk:
    """The encoder of a model of one's own, and the hidden states of calibration texts at one of its layers."""

    def __init__(self, model: nn.Module, batches: Batches, output: Output) -> None:
        """Run the model once on every batch. Raises SelectionError for a model whose layers cannot be walked."""
        self.model, self.batches, self.output = model, batches, output
        self._calls: list[_Calls] = []
        self._start: list[Tensor] = []
        self.dense = self.begin()
        """What the model answered on the batches that are held back, before anything was pruned."""

    def begin(self) -> Tensor:
        """Run the model with the layers that it has now; return what it answers on the batches that are held back."""
        self.layers = {number: layer for number, (_, layer) in layers(self.model).items()}
        if not self.layers:
            raise SelectionError(
                "calibration walks through the layers of an encoder, and knows none in this model",
                code="calibration.no_layers",
            )
        answers = self._record()
        self._at, self._states = 0, list(self._start)
        return answers

    def changed(self, layer: int | None) -> None:
        """Forget the states that a change of a layer, or of what is below all of them (None), makes invalid."""
        if layer is None:
            self._record()
            self._at, self._states = 0, list(self._start)
        elif self._at > self._order.index(layer):
            self._at, self._states = 0, list(self._start)

    def go_to(self, layer: int) -> None:
        """Bring the states in front of a layer, through those below it as they are now."""
        wanted = self._order.index(layer)
        if self._at > wanted:
            self._at, self._states = 0, list(self._start)
        with torch.no_grad():
            for number in range(len(self._states)):
                self._states[number] = self._through(number, self._states[number], self._at, wanted)
        self._at = wanted

    def inputs(
        self, layer: int | None, modules: Sequence[nn.Linear], products: bool
    ) -> tuple[LayerInputs, LayerInputs]:
        """Collect the inputs of linear layers: on all texts, and on those that are not held back.

        `layer` is where they are; None is outside the layers. Only with `products` are the inputs' products summed.
        """
        if layer is not None:
            self.go_to(layer)
        every = LayerInputs(modules, products)
        self._collect(layer, every, held_back=False)
        fitted = every.copy()
        self._collect(layer, every, held_back=True)
        return every, fitted

    def _collect(self, layer: int | None, seen: LayerInputs, held_back: bool) -> None:
        passes = 0 if layer is None else self._order.count(layer)
        for number, batch in enumerate(self.batches.used):
            if self.batches.held_back[number] != held_back:
                continue
            with torch.no_grad(), seen.listening(batch, passes):
                if layer is None:
                    self._finish(number, self._through(number, self._states[number], self._at, len(self._order)))
                else:
                    self._through(number, self._states[number], self._at, self._end_of(layer))

    def means(self, score: Callable[[int, Tensor, Tensor], Tensor], progress: Progress) -> dict[int, float]:
        """Score what each layer makes of the hidden states, token by token; return the means over all texts.

        `score` takes the number of a layer, and the states of tokens before and after it; padding is left out.
        """
        sums, tokens = dict.fromkeys(self.layers, 0.0), 0
        for number, batch in enumerate(self.batches.used):
            progress(number / len(self.batches.used), "what each layer changes")
            hidden = self._start[number]
            with torch.no_grad():
                for at, layer in enumerate(self._order):
                    before, hidden = hidden, self._through(number, hidden, at, at + 1)
                    known = [without_padding(states, batch.get("attention_mask")) for states in (before, hidden)]
                    sums[layer] += float(score(layer, *known).double().sum())
            tokens += len(known[0])
        return {layer: total / max(1, tokens) for layer, total in sums.items()}

    def drift(self) -> float:
        """Return how far the answers to the texts held back, with the weights as they are, are from those at first."""
        return self.output.drift(self.dense, self.answers())

    def answers(self) -> Tensor:
        """Return the answers to the texts held back, with the weights as they are."""
        rows = []
        with torch.no_grad():
            for number, back in enumerate(self.batches.held_back):
                if back:
                    states = self._through(number, self._states[number], self._at, len(self._order))
                    rows.append(self._finish(number, states))
        return torch.cat(rows)

    @property
    def _order(self) -> list[int]:
        return self._calls[0].order

    def _end_of(self, layer: int) -> int:
        """Return the place after the last call of a layer, which ALBERT calls many times."""
        return len(self._order) - self._order[::-1].index(layer)

    def _through(self, number: int, hidden: Tensor, start: int, end: int) -> Tensor:
        """Push the hidden states of a batch through some calls of layers."""
        calls = self._calls[number]
        for at in range(start, end):
            args, kwargs = calls.arguments[at]
            found = self.layers[calls.order[at]](hidden, *args, **kwargs)
            hidden = found[0] if isinstance(found, tuple) else found
        return hidden

    def _finish(self, number: int, hidden: Tensor) -> Tensor:
        """Return what the model answers if its last layer gives these states: its other layers are passed over."""
        with self._passing_over(len(self._order), hidden, self._calls[number].rest):
            return self.output.rows(self.model, self.batches.used[number])

    @contextmanager
    def from_here(self, number: int, texts: slice) -> Iterator[None]:
        """Let the model begin with the states here, for some texts of a batch, instead of running the layers below.

        Where layers hand on more than the hidden states, that is computed as usual: nothing is passed over.
        """
        below = self._calls[0].rest[: self._at]
        if any(rest is not None for rest in below):
            yield
            return
        with self._passing_over(self._at, self._states[number][texts], below):
            yield

    @contextmanager
    def _passing_over(self, end: int, hidden: Tensor, rests: Sequence[tuple[Any, ...] | None]) -> Iterator[None]:
        """Let the first calls of layers hand on what they are given, and the last of these calls the states."""
        places = iter(range(len(self._order)))

        def pass_over(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            at = next(places)
            if at >= end:
                return run(*args, **kwargs)
            states = hidden if at == end - 1 else _split(args, kwargs)[0]
            rest = rests[at]
            return states if rest is None else (states, *rest)

        with ExitStack() as stack:
            for layer in self.layers.values():
                stack.enter_context(_replaced(layer, partial(pass_over, layer.forward)))
            yield

    def _record(self) -> Tensor:
        """Keep what layers are called with, batch by batch; return the answers to the texts held back.

        Only these, and the first batch, go through the layers, unless layers hand on more than the hidden states.
        """
        self._calls, self._start, answers = [], [], []
        for batch, back in zip(self.batches.used, self.batches.held_back, strict=True):
            calls, states = _Calls(), list[Tensor]()
            through = back or not self._calls or self._calls[0].rest.count(None) < len(self._order)
            with torch.no_grad(), ExitStack() as stack:
                for number, layer in self.layers.items():
                    stack.enter_context(_recording(layer, number, calls, states, through))
                rows = self._answers(batch)
            if not states:
                raise SelectionError("the model never calls its layers", code="calibration.no_calls")
            self._calls.append(calls)
            self._start.append(states[0])
            if back:
                answers.append(rows)
        return torch.cat(answers) if answers else torch.empty(0)

    def _answers(self, batch: Batch) -> Tensor:
        try:
            return self.output.rows(self.model, batch)
        except BertpruneError:
            raise
        except Exception as error:  # of a model, or of batches, that are the user's
            raise RecipeError(
                "the model fails on the calibration texts: {error}",
                code="calibration.model_failed", error=describe_exception(error),
            ) from error  # fmt: skip


@contextmanager
def _replaced(layer: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let a layer run another function. The layer is the walk's own, so that nobody else sees it."""
    layer.forward = forward
    try:
        yield
    finally:
        del layer.forward


@contextmanager
def _recording(layer: nn.Module, number: int, calls: _Calls, states: list[Tensor], through: bool) -> Iterator[None]:
    """Keep what a layer is called with, and the states at the first call of all; only `through` says to run it."""
    original = layer.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        hidden, args, kwargs = _split(args, kwargs)
        if not states:
            states.append(hidden)
        elif states[-1] is not hidden:
            raise SelectionError(
                "the layers of this model are not called one after the other, so that they cannot be calibrated",
                code="calibration.not_a_chain",
            )
        calls.arguments.append((args, kwargs))
        calls.order.append(number)
        found = original(hidden, *args, **kwargs) if through else hidden
        states[1:] = [found[0] if isinstance(found, tuple) else found]
        calls.rest.append(found[1:] if isinstance(found, tuple) else None)
        return found

    with _replaced(layer, forward):
        yield


def _split(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, tuple[Any, ...], dict[str, Any]]:
    """Separate the hidden states from the other arguments of a layer."""
    if args:
        return args[0], args[1:], kwargs
    name = next(name for name, value in kwargs.items() if isinstance(value, Tensor))
    return kwargs[name], (), {key: value for key, value in kwargs.items() if key != name}
