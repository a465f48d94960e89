"""Count the multiply-accumulates (MACs) of an encoder's layers: those of their matrices, and attention's L² among them.

Biases, norms and activations are left out, and so is what relative positions add to attention. Projections of relative
positions count as if every token had one.
"""

from torch import nn

from ..errors import SelectionError
from ..selection import Selection
from .coupled import Coupled, find_coupled


def macs_per_group(coupled: Coupled, length: float) -> float:
    """Return the MACs that one head or neuron takes for a token of a text of `length` tokens, in all uses of its layer.

    A head of width d multiplies each token with the `length` others twice: for the weights, and for their sum.
    """
    entries = sum(target.parameter.numel() for target in coupled.targets if target.parameter.dim() == 2)
    attention = 2 * length * len(coupled.columns) if coupled.kind == "head" else 0
    return coupled.uses * (entries + attention) / coupled.number


def encoder_macs(model: nn.Module, length: float) -> float:
    """Return the MACs of all layers for one text of `length` tokens.

    Heads and neurons whose output is wholly masked or zero take none. Raises SelectionError for an unknown family.
    """
    return length * sum(_alive(one) * macs_per_group(one, length) for one in _everything(model))


def computed_macs(model: nn.Module) -> tuple[float, float] | None:
    """Return the MACs of all layers for each token of a text, and for each pair of its tokens, as the model stands.

    Masked weights and zeros are multiplied too. None for an unknown family.
    """
    try:
        found = [(one.number, one) for one in _everything(model)]
    except SelectionError:
        return None
    token, longer = (sum(number * macs_per_group(one, length) for number, one in found) for length in (0, 1))
    return token, longer - token


def _everything(model: nn.Module) -> list[Coupled]:
    return [*find_coupled(model, "neuron", Selection()), *find_coupled(model, "head", Selection())]


def _alive(coupled: Coupled) -> int:
    values, mask = coupled.output.parameter.detach(), coupled.output.mask
    columns = (values if mask is None else values * mask).any(dim=0)
    return len(set(coupled.columns.to(columns.device)[columns].tolist()))
