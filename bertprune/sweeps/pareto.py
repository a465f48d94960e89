"""The Pareto front: what nothing else beats in both size and quality."""

import math
from collections.abc import Sequence

Point = tuple[float, float]
"""A cost, less is better, and a quality, more is better; NaN where one is not known."""


def on_front(points: Sequence[Point]) -> list[bool]:
    """Tell which points are on the front: no other costs as little and is as good, and is better in one of these."""
    best, front = -math.inf, set[Point]()
    known = {point for point in points if not any(map(math.isnan, point))}
    for cost, quality in sorted(known, key=lambda point: (point[0], -point[1])):
        if quality > best:
            best = quality
            front.add((cost, quality))
    return [point in front for point in points]
