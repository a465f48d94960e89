"""Random numbers from a given seed, without reading or changing torch's global random state.

`manual_seed` and `fork_rng` change a state that all threads share. A function mode belongs to one thread: it passes its
generator to each random call that has none.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

IN_PLACE = {
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
_RANDOM = IN_PLACE | {"rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial"}
_LIKE = {"rand_like": "uniform_", "randn_like": "normal_"}


class Seeded(TorchFunctionMode):
    """Give every random call in this thread one generator, made from `seed`."""

    def __init__(self, seed: int) -> None:
        """Make the generator; the global random state is not read."""
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` with this generator where it would use the global one."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _LIKE:
            fresh = torch.empty_like(*args, **kwargs)
            return getattr(fresh, _LIKE[name])(generator=self.generator)
        if name in _RANDOM and kwargs.get("generator") is None and not is_meta(args, kwargs):
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


def is_meta(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether a torch call with these arguments works on the meta device."""
    if str(kwargs.get("device", "")) == "meta":
        return True
    first = args[0] if args else kwargs.get("tensor")
    return isinstance(first, torch.Tensor) and first.is_meta
