"""Put values and bootstrap draws together into scores."""

from collections.abc import Sequence
from typing import Literal

from .intervals import Numbers, percentiles
from .report import Score


def paired(values: Sequence[float], draws: Numbers, better: Literal["higher", "lower"] = "higher") -> Score:
    """Make a score of one value, or of two (before, after) with their difference.

    `draws` has one column a value; each row is one resample, the same for both.
    """
    after = percentiles(values[-1], draws[:, -1])
    if len(values) == 1:
        return Score(None, after, None, better=better)
    difference = percentiles(values[1] - values[0], draws[:, 1] - draws[:, 0])
    return Score(percentiles(values[0], draws[:, 0]), after, difference, better=better)
