"""Layer change: how little a layer does to what goes into it, ShortGPT's Block Influence."""

from torch import Tensor
from torch.nn.functional import cosine_similarity

from .registry import method


@method("layer_change", removes="layer", title="Change by the layer", paper="https://arxiv.org/abs/2403.03853")
def layer_change(before: Tensor, *, after: Tensor) -> Tensor:
    """Remove the layers that turn the texts' hidden states least, by 1 − cosine of before and after."""
    return 1 - cosine_similarity(before.double(), after.double(), dim=-1)
