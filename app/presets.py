"""The tutorial's steps as recipes, by role and layer so that they fit every family."""

from collections.abc import Callable

import bertprune as bp

_KEY = {"roles": ["attention.key"], "layers": [0]}


def _random() -> bp.Step:
    return bp.Step(method="random_unstructured", fraction=0.3, select=bp.Selection(**_KEY))


def _bias() -> bp.Step:
    return bp.Step(method="l1_unstructured", count=50, select=bp.Selection(**_KEY, tensor="bias"))


def _columns() -> bp.Step:
    return bp.Step(method="ln_structured", fraction=0.3, options={"n": 2, "dim": 1}, select=bp.Selection(**_KEY))


def _by_type() -> tuple[bp.Step, ...]:
    return tuple(
        bp.Step(method="l1_unstructured", fraction=share, select=bp.Selection(types=[kind]))
        for kind, share in (("Embedding", 0.2), ("Linear", 0.4))
    )


def _global() -> bp.Step:
    roles = ["attention.query", "attention.key", "attention.value"]
    return bp.Step(method="l1_unstructured", fraction=0.2, scope="global", select=bp.Selection(roles=roles))


PRESETS: dict[str, Callable[[], tuple[bp.Step, ...]]] = {
    "random": lambda: (_random(),),
    "bias": lambda: (_random(), _bias()),
    "columns": lambda: (_random(), _bias(), _columns()),
    "types": _by_type,
    "global": lambda: (_global(),),
}
"""In the order of the tutorial; the second and third include the one before."""


def preset(name: str) -> bp.Recipe:
    """Return a recipe of the tutorial."""
    return bp.Recipe(steps=PRESETS[name]())
