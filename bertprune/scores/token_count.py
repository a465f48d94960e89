"""Token count: how often a token occurs in the texts."""

from torch import Tensor

from .registry import method


@method("token_count", removes="token", title="Uses of a token", paper="https://arxiv.org/abs/2010.05609")
def token_count(counts: Tensor) -> Tensor:
    """Remove the tokens that occur least in all texts given as calibration; of equally frequent ones the last go."""
    return counts
