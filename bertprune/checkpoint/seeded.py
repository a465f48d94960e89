"""Initialisation from a seed of its own: torch's global random state is neither read nor touched.

`manual_seed` and `fork_rng` change what every thread shares. A function mode belongs to its thread: each
random call that names no generator gets ours.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import CheckpointError

MOST_CALLS = 32_000
"""How many torch calls a model may take to lay out; a BERT of 12 layers takes about 4,000."""

_IN_PLACE = {
    "normal_",
    "uniform_",
    "random_",
    "bernoulli_",
    "exponential_",
    "geometric_",
    "cauchy_",
    "log_normal_",
    "trunc_normal_",
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
    "sparse_",
}
_RANDOM = _IN_PLACE | {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}
_LIKE = {"rand_like": "uniform_", "randn_like": "normal_"}
_PLACED = {"empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like", "ones_like", "full_like"}


class Seeded(TorchFunctionMode):
    """Give every random call in this thread one generator, made from `seed`."""

    def __init__(self, seed: int) -> None:
        """Make the generator; nothing global is asked."""
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` with our generator where it would take the global one."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _LIKE:
            fresh = torch.empty_like(*args, **kwargs)
            return getattr(fresh, _LIKE[name])(generator=self.generator)
        if name in _RANDOM and kwargs.get("generator") is None and not _is_meta(args, kwargs):
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


class Shapes(TorchFunctionMode):
    """Keep everything in this thread on the meta device: shapes without values, and nothing random."""

    def __init__(self) -> None:
        """Begin to count calls: a config can ask for more modules than anybody has time for."""
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` so that no memory is taken and no random number drawn."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise CheckpointError("config.json asks for more modules than any encoder has; smaller sizes are expected")
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _IN_PLACE and _is_meta(args, kwargs):
            return args[0] if args else kwargs["tensor"]
        if name in _PLACED:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _is_meta(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if str(kwargs.get("device", "")) == "meta":
        return True
    first = args[0] if args else kwargs.get("tensor")
    return isinstance(first, torch.Tensor) and first.is_meta
