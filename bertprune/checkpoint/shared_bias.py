"""Attention that adds a bias of positions which all layers share: of its heads, each layer takes those that it has."""

from typing import Any

from torch import Tensor, nn
from transformers.models.mpnet.modeling_mpnet import MPNetSelfAttention
from transformers.models.t5.modeling_t5 import T5Attention


class FewerMPNetHeads(MPNetSelfAttention):  # type: ignore[misc]
    """MPNet's attention with some of the model's heads."""

    kept: list[int]
    """Their numbers."""

    def forward(
        self, hidden_states: Tensor, attention_mask: Any = None, position_bias: Tensor | None = None, **more: Any
    ) -> Any:
        """Attend with the bias of the heads that are here."""
        bias = None if position_bias is None else position_bias[:, self.kept]
        return super().forward(hidden_states, attention_mask, bias, **more)


class FewerT5Heads(T5Attention):  # type: ignore[misc]
    """T5's attention with some of the model's heads."""

    kept: list[int]
    """Their numbers."""

    def forward(self, hidden_states: Tensor, position_bias: Tensor | None = None, **more: Any) -> Any:
        """Attend with the bias of the heads that are here; hand on that of all, which the first layer works out."""
        length, device = hidden_states.shape[1], hidden_states.device
        shared = self.compute_bias(length, length, device=device) if position_bias is None else position_bias
        output, _, *rest = super().forward(hidden_states, position_bias=shared[:, self.kept], **more)
        return output, shared, *rest


_FEWER = {MPNetSelfAttention: FewerMPNetHeads, T5Attention: FewerT5Heads}


def take_bias_of(model: nn.Module, heads: list[list[int]]) -> None:
    """Let the attention of each layer take its part of the shared bias, in place."""
    attentions = [module for module in model.modules() if type(module) in _FEWER]
    for module, kept in zip(attentions, heads, strict=True):
        module.__class__, module.kept = _FEWER[type(module)], list(kept)  # type: ignore[assignment]
