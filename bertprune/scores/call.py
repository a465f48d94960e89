"""Call the rule of a method, and check its result."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod, PruningContainer

from ..errors import Message, RecipeError
from ..seeded import Seeded
from ..step import Step
from .grid import Grid
from .guard import in_one_line, lent
from .method import Method

_LENT = ("mask", "inputs", "gradients", "after")
"""What a rule may ask for and may not change, beside the weight."""
_PRUNING_TYPES = ("unstructured", "structured", "global")


def score(
    method: Method,
    tensor: str,
    weight: Tensor,
    shape: tuple[int, ...],
    options: Mapping[str, Any],
    /,
    **offered: Any,
) -> Tensor:
    """Score the weight of that name by the method's function, with its options and what it asks for of the offered.

    `shape` is the shape that the scores must have: one for each group of the granularity. Raises RecipeError where the
    function fails, writes into what it is given, or returns anything but a tensor of numbers of that shape.
    """
    asked = {key: value for key, value in offered.items() if key in method.parameters}
    with lent(method, tensor, weight, *(asked.get(name) for name in _LENT)) as (values, *rest):
        known = {name: one for name, one in zip(_LENT, rest, strict=True) if name in asked}
        scores = method.rule(values, **(asked | known), **options)
    if found := _no_numbers(scores, weight.device):
        raise RecipeError(
            "{method}: scores of {tensor} must be a tensor of real numbers, not {found}",
            code="method.scores", method=method.name, tensor=tensor, found=found,
        )  # fmt: skip
    _check_shape(method, tensor, shape, scores.shape)
    checked: Tensor = scores.detach()
    return checked


def score_groups(
    method: Method,
    tensor: str,
    weight: Tensor,
    grid: Grid,
    options: Mapping[str, Any],
    /,
    **offered: Any,
) -> Tensor:
    """Score the groups of a matrix, (groups): by the method's own function of groups, or the sum of entries' scores.

    The arguments are those of `score`. Raises RecipeError as that does.
    """
    if method.group_rule is not None:
        asked = {key: value for key, value in offered.items() if key in method.parameters}
        with in_one_line(method, tensor):
            return method.group_rule(weight, grid, **asked, **options)
    if method.elementwise:
        rule = score_pieces(method, tensor, options)
        flat = rule(weight.detach().reshape(-1).to(torch.promote_types(weight.dtype, torch.float32)).numpy(force=True))
        return grid.sums(torch.from_numpy(flat).view(weight.shape).to(weight.device))
    return grid.sums(score(method, tensor, weight, tuple(weight.shape), options, **offered))


def score_pieces(method: Method, tensor: str, options: Mapping[str, Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return an elementwise method's function for pieces of the tensor of that name.

    It returns float32 or float64, and raises RecipeError where `score` would.
    """

    def scores(piece: NDArray[Any]) -> NDArray[Any]:
        given = piece.view() if method.built_in else piece.copy()
        given.flags.writeable = False
        with in_one_line(method, tensor):
            found = method.rule(given, **options)
        if type(found) is not np.ndarray or found.dtype.kind not in "fiu":
            raise RecipeError(
                "{method}: scores of {tensor} must be a NumPy array of real numbers, not {found}",
                code="method.array", method=method.name, tensor=tensor, found=_kind(found),
            )  # fmt: skip
        _check_shape(method, tensor, piece.shape, found.shape)
        return found if found.dtype in (np.float32, np.float64) else found.astype(np.float64)

    return scores


def make_hook(method: Method, tensor: str, step: Step, options: Mapping[str, Any]) -> BasePruningMethod:
    """Make the torch class's instance for a step on the tensor of that name. Raises RecipeError."""
    with in_one_line(method, tensor):
        hook: BasePruningMethod = method.rule(amount=step.amount, **options)
    found = getattr(hook, "PRUNING_TYPE", None)
    if found not in _PRUNING_TYPES:
        raise RecipeError(
            "{method}: PRUNING_TYPE must be one of {known}, not {found!r}",
            code="method.pruning_type", method=method.name, known=", ".join(_PRUNING_TYPES), found=found,
        )  # fmt: skip
    return hook


def make_mask(
    method: Method, tensor: str, step: Step, options: Mapping[str, Any], weight: Tensor, old: Tensor, seed: int
) -> Tensor:
    """Let a torch class mask a weight further, as torch's PruningContainer does; `old` and the result are bool.

    The global random state stays. Raises RecipeError where the class fails, writes into what it is given, or returns
    anything but a mask of what is alive.
    """
    values = weight * old
    with Seeded(seed):
        hook = make_hook(method, tensor, step, options)
        hook._tensor_name = tensor.rpartition(".")[2]
        with in_one_line(method, tensor):
            part, alive = _part(hook, values, old)
        with lent(method, tensor, part, alive) as (given, mask):
            made = hook.compute_mask(given, default_mask=mask)  # type: ignore[no-untyped-call]
    _check_mask(method, tensor, made, alive)
    return _through_container(hook, values, old, lambda part, mask: made) != 0


def _part(hook: BasePruningMethod, values: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of a tensor that a hook masks, and what is alive in it."""
    seen: list[tuple[Tensor, Tensor]] = []

    def look(part: Tensor, mask: Tensor) -> Tensor:
        seen.append((part, mask))
        return mask

    _through_container(hook, values, old, look)
    return seen[0]


def _through_container(
    hook: BasePruningMethod, values: Tensor, old: Tensor, compute: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Let torch choose the part of a tensor that a hook masks, and put the mask of that part, from `compute`, in."""

    class Part(BasePruningMethod):
        PRUNING_TYPE = hook.PRUNING_TYPE  # type: ignore[attr-defined]

        def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
            return compute(t, default_mask)

    part = Part()
    vars(part).update(vars(hook))  # such as `dim`
    mask: Tensor = PruningContainer(part).compute_mask(values, old)  # type: ignore[no-untyped-call]
    return mask


def _check_mask(method: Method, tensor: str, made: Any, old: Tensor) -> None:
    found = _no_mask(made, old)
    if found:
        raise RecipeError(
            "{method}: the mask of {tensor} must be a tensor of zeros and ones, not {found}",
            code="method.mask", method=method.name, tensor=tensor, found=found,
        )  # fmt: skip
    _check_shape(method, tensor, old.shape, made.shape)
    if revived := int(((made != 0) & ~old).sum()):
        raise RecipeError(
            "{method}: the mask of {tensor} keeps {count:,} values that were pruned before",
            code="method.revives", method=method.name, tensor=tensor, count=revived,
        )  # fmt: skip


def _no_mask(made: Any, old: Tensor) -> str | Message | None:
    """Name what makes a result unusable as a mask."""
    if isinstance(made, Tensor) and made.dtype == torch.bool:
        made = made.to(torch.uint8)
    if found := _no_numbers(made, old.device):
        return found
    others = made[(made != 0) & (made != 1)]
    return f"{others[0].item()}" if others.numel() else None


def _no_numbers(found: Any, device: torch.device) -> str | Message | None:
    """Name what makes a result unusable as a tensor of real numbers."""
    if not isinstance(found, Tensor) or found.is_complex() or found.dtype == torch.bool or found.is_quantized:
        return _kind(found)
    if found.layout != torch.strided:
        return str(found.layout)
    return None if found.device == device else f"a tensor on {found.device}"


def _kind(found: Any) -> str | Message:
    if type(found) in (Tensor, nn.Parameter):
        return Message("a torch tensor of {dtype}", code="method.a_tensor", dtype=str(found.dtype))
    if type(found) is np.ndarray:
        return Message("a NumPy array of {dtype}", code="method.an_array", dtype=str(found.dtype))
    if isinstance(found, np.generic | int | float):
        return Message("a single number ({kind})", code="method.a_number", kind=type(found).__name__)
    return type(found).__name__


def _check_shape(method: Method, tensor: str, wanted: tuple[int, ...], found: tuple[int, ...]) -> None:
    if tuple(found) != tuple(wanted):
        raise RecipeError(
            "{method}: what it returns for {tensor} must have the shape {shape}, not {found}",
            code="method.shape", method=method.name, tensor=tensor, shape=tuple(wanted), found=tuple(found),
        )  # fmt: skip
