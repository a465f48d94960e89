"""What a user's rule may do while it is called: what it is given is read-only, and what it raises becomes one line.

A tensor cannot be made read-only, so a user's rule gets copies, and is refused if it writes into one. The methods that
come with bertprune are trusted with the weights themselves.
"""

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import RecipeError
from .method import Method, describe_exception


@contextmanager
def lent(method: Method, tensor: str, *originals: Any) -> Iterator[list[Any]]:
    """Give a user's rule copies, and refuse it where it wrote into one. Raises RecipeError."""
    if method.built_in:
        with in_one_line(method, tensor):
            yield list(originals)
        return
    with torch.inference_mode(False):  # whose tensors do not count writes
        copies = [_copy(original) for original in originals]
    with in_one_line(method, tensor):
        yield list(copies)
    if any(_differ(copy, original) for copy, original in zip(copies, originals, strict=True)):
        raise _wrote(method, tensor)


def _copy(original: Any) -> Any:
    """Copy a tensor, or statistics of several."""
    if isinstance(original, Tensor):
        return original.detach().clone()
    if not is_dataclass(original) or isinstance(original, type):
        return original
    return replace(original, **{field.name: _copy(getattr(original, field.name)) for field in fields(original)})


def _differ(copy: Any, original: Any) -> bool:
    """Return whether a copy was written to: torch counts writes, but not those through `.data` or NumPy."""
    if isinstance(copy, Tensor):
        return copy._version > 0 or not torch.equal(copy, original)
    if not is_dataclass(copy):
        return False
    return any(_differ(getattr(copy, field.name), getattr(original, field.name)) for field in fields(copy))


@contextmanager
def in_one_line(method: Method, tensor: str) -> Iterator[None]:
    """Turn what a rule raises into one line that names the method and the tensor. Raises RecipeError."""
    with _without_global_randomness(method, tensor):
        try:
            yield
        except Exception as error:
            if isinstance(error, ValueError) and str(error).endswith("is read-only"):  # NumPy's words for a write
                raise _wrote(method, tensor) from error
            raise RecipeError(
                "{method}: {tensor}: {error}",
                code="method.failed_on", method=method.name, tensor=tensor, error=describe_exception(error),
            ) from error  # fmt: skip


@contextmanager
def _without_global_randomness(method: Method, tensor: str) -> Iterator[None]:
    """Refuse a user's function that draws from a global generator, whose state is restored. Raises RecipeError."""
    if method.built_in or method.makes_masks:  # torch's classes draw so, within `Seeded`
        yield
        return
    before = _global_states()
    try:
        yield
    finally:
        after = _global_states()
        drew = before != after
        if drew:
            _set_global_states(before)
    if drew:
        raise RecipeError(
            "{method} draws from a global random generator for {tensor}; ask for `generator`, and draw from that",
            code="method.global_random", method=method.name, tensor=tensor,
        )  # fmt: skip


def _global_states() -> tuple[Any, bytes, bytes]:
    return random.getstate(), pickle.dumps(np.random.get_state()), torch.get_rng_state().numpy().tobytes()


def _set_global_states(states: tuple[Any, bytes, bytes]) -> None:
    random.setstate(states[0])
    np.random.set_state(pickle.loads(states[1]))
    torch.set_rng_state(torch.frombuffer(bytearray(states[2]), dtype=torch.uint8))


def _wrote(method: Method, tensor: str) -> RecipeError:
    return RecipeError(
        "{method} writes into the values, mask or statistics of {tensor}, which are read-only; let it work on a copy",
        code="method.writes", method=method.name, tensor=tensor,
    )  # fmt: skip
