"""What a plan says that its recipe will give."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from .validation import FrozenModel

FOREIGN = 0.6
"""The share of tokens that are unknown, or one letter within a word, above which texts are in another language."""
MEASURES = {"divergence": "Kullback-Leibler divergence", "squared": "mean squared difference", "angle": "1 - cosine"}
"""What drifts are, in words."""


class Forecast(FrozenModel):
    """Say what a recipe gave on the plan's own texts, measured on those that were held back from it."""

    measure: Literal["divergence", "squared", "angle"]
    """What the drift is: a Kullback-Leibler divergence, a mean squared difference, or 1 less the cosine."""
    drift: FiniteFloat
    """How far the answers are from those of the whole model, in the mean."""
    low: FiniteFloat
    """The lower end of the drift's 95 % interval."""
    high: FiniteFloat
    """The upper end."""
    answers: Annotated[int, Field(ge=1)]
    """On how many answers it is measured."""
    macs: FiniteFloat
    """The share of the encoder's multiply-accumulates that stays, at the texts' mean length."""
    bytes: Annotated[int, Field(ge=0)]
    """What the weights take as the small form stores them."""
    sparsity: FiniteFloat
    """The share of the weights of the encoder's layers that is pruned."""
    spelled: FiniteFloat = 0.0
    """The share of the texts' tokens that the tokenizer reads as unknown, or as single letters within words."""

    @property
    def is_foreign(self) -> bool:
        """Whether the texts are in a language that the tokenizer hardly knows, so that the drift says little."""
        return self.spelled > FOREIGN

    def __str__(self) -> str:
        """Write it in one line."""
        return (
            f"{MEASURES[self.measure]} of {self.drift:.3g} ({self.low:.3g} to {self.high:.3g}) on {self.answers:,}"
            f" answers held back; {self.macs:.1%} of the MACs, {self.sparsity:.1%} sparse, {self.bytes / 1e6:,.2f} MB"
        )
