"""Lay a model out without its values."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from ..errors import CheckpointError
from ..seeded import IN_PLACE, is_meta

MOST_CALLS = 32_000
"""How many torch calls a model may take to lay out; a BERT of 12 layers takes about 4,000."""

_PLACED = {"empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like", "ones_like", "full_like"}


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
        if name in IN_PLACE and is_meta(args, kwargs):
            return args[0] if args else kwargs["tensor"]
        if name in _PLACED:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
