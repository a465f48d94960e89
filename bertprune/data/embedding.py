"""How the tokens of a text become one embedding, as in sentence-transformers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from ..errors import DataError, Note, shortened
from .batches import Batch, forward


def _first(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden)), mask.argmax(dim=1)]


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return hidden[torch.arange(len(hidden)), (mask * places).argmax(dim=1)]


def _largest(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden.masked_fill(mask[..., None] == 0, float("-inf")).amax(dim=1)


def _mean(hidden: Tensor, mask: Tensor, power: float = 1.0) -> Tensor:
    weights = mask[..., None].to(hidden.dtype)
    total: Tensor = (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9) ** power
    return total


def _mean_by_root(hidden: Tensor, mask: Tensor) -> Tensor:
    return _mean(hidden, mask, 0.5)


def _mean_by_place(hidden: Tensor, mask: Tensor) -> Tensor:
    return _mean(hidden, mask * torch.arange(1, mask.shape[1] + 1, device=mask.device))


POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_by_root,
    "weightedmean": _mean_by_place,
    "lasttoken": _last,
}
"""What sentence-transformers calls each pooling, in the order in which it joins several."""


@dataclass(frozen=True)
class Embedding:
    """How a text is prepared, and how the last hidden states of its tokens become one embedding."""

    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[nn.Module, ...] = ()
    truncate: int | None = None
    """How many numbers of the embedding are kept."""
    with_prompt: bool = True
    """Whether the prompt's own tokens are pooled too."""
    prompt: str = ""
    """What every text begins with."""
    lower_case: bool = False
    max_length: int | None = None
    """The most tokens that the folder asks for."""
    source: str | None = None
    """The name of the checkpoint whose folder says so, or None where the mean was assumed."""

    def __call__(self, model: PreTrainedModel, batch: Batch, prompt_tokens: int = 0) -> Tensor:
        """Embed the texts of a batch, `(batch, numbers)`; a prompt takes the first `prompt_tokens` tokens of each."""
        hidden = getattr(forward(model.base_model, batch), "last_hidden_state", None)
        if hidden is None:
            raise DataError(
                "{model} returns no embeddings of the tokens, so there is nothing to pool",
                code="embedding.no_hidden_states", model=type(model).__name__,
            )  # fmt: skip
        mask = batch.get("attention_mask", torch.ones(hidden.shape[:2], device=hidden.device)).clone()
        if not self.with_prompt:
            mask[:, :prompt_tokens] = 0
        rows = torch.cat([POOLINGS[name](hidden.float(), mask) for name in self.poolings], dim=1)
        for layer in self.layers:
            rows = layer.to(rows.device)(rows)
        return rows[:, : self.truncate]

    def prepared(self, texts: list[str]) -> list[str]:
        """Return the texts as the model was trained on them."""
        texts = [self.prompt + text for text in texts]
        return [text.lower() for text in texts] if self.lower_case else texts

    def notes(self) -> list[Note]:
        """Say how the embeddings are made."""
        if self.source is None:
            return [
                Note("mean pooling was assumed: no modules.json says how to embed a text", code="note.mean_assumed")
            ]
        how = ", ".join([f"{' + '.join(self.poolings)} pooling", *map(_describe, self.layers)])
        notes = [
            Note("{name} embeds texts by its own modules: {how}", code="note.own_modules", name=self.source, how=how)
        ]
        if self.prompt:
            notes.append(
                Note("every text begins with the prompt {prompt!r}", code="note.prompt", prompt=shortened(self.prompt))
            )
        return notes


MEAN = Embedding()
"""Mean pooling, where nothing says otherwise."""


class Dense(nn.Module):
    """A linear layer with its activation, and the input added where the folder says so."""

    def __init__(self, width: int, out: int, bias: bool, activation: str, residual: bool) -> None:
        """Make the layers; their values are read from a file."""
        super().__init__()
        self.linear = nn.Linear(width, out, bias=bias)
        self.activation: nn.Module = getattr(nn, activation)()
        self.add = residual
        if residual and width != out:
            self.residual = nn.Linear(width, out, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the new embeddings."""
        out: Tensor = self.activation(self.linear(rows))
        return out + getattr(self, "residual", nn.Identity())(rows) if self.add else out


class LayerNorm(nn.Module):
    """Shifts and scales every embedding by its own mean and deviation."""

    def __init__(self, width: int) -> None:
        """Make the layer; its values are read from a file."""
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, rows: Tensor) -> Tensor:
        """Return the new embeddings."""
        out: Tensor = self.norm(rows)
        return out


class Normalize(nn.Module):
    """Scales every embedding to the length 1."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return the new embeddings."""
        return functional.normalize(rows, p=2, dim=-1)


def _describe(layer: nn.Module) -> str:
    if isinstance(layer, Dense):
        return f"Dense {layer.linear.in_features} → {layer.linear.out_features}"
    return type(layer).__name__
