"""What calibration texts tell of a matrix: the statistics that methods may ask for. Read-only."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class InputNorms:
    """What is known of the inputs of a matrix (out × in) without their products, summed over the calibration tokens."""

    norms: Tensor
    """The L2 norm of each input over all tokens, (in)."""
    tokens: int
    """How many tokens were seen; padding is not."""


@dataclass(frozen=True)
class Inputs(InputNorms):
    """The inputs of a matrix (out × in), summed over the calibration tokens."""

    gram: Tensor
    """The sum of x xᵀ over all tokens, (in × in), float64."""


@dataclass(frozen=True)
class Gradients:
    """Squared gradients of a matrix (out × in), summed over the calibration texts: what they say of its Fisher matrix.

    Each text's gradient is that of the log-likelihood of what the model predicts itself, in expectation.
    """

    squared: Tensor | None
    """The sum of the squared gradients of each entry, (out × in); None where only groups are scored."""
    columns: Tensor
    """Gradients towards a factor on each input of the matrix, (texts × in)."""
    rows: Tensor | None
    """Gradients towards a factor on each output of the matrix, before its bias, (texts × out); None where only
    columns, heads or neurons are scored."""
    texts: int
    """How many texts were seen."""
