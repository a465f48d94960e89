"""The front holds exactly what no other point beats."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bertprune.sweeps.rows import on_front

_NUMBERS = st.one_of(st.integers(0, 4).map(float), st.floats(-2, 2), st.just(math.nan))
POINTS = st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=12)


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(POINTS)
def test_the_front_is_that_of_comparing_all_with_all(points: list[tuple[float, float]]) -> None:
    known = [point for point in points if not any(map(math.isnan, point))]
    expected = [point in known and not any(beats(other, point) for other in known) for point in points]
    assert on_front(points) == expected
