"""Records of a module's tensors and hooks without the weights, and a line of text for each."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod, PruningContainer

from .names import full_name, pruned_names

Kind = Literal["parameter", "buffer", "derived"]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """One tensor of one module at the time of the snapshot."""

    name: str
    """The full name, such as `encoder.layer.0.attention.self.key.weight_orig`."""
    module: str
    local: str
    """The name within the module, such as `weight_orig`."""
    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    requires_grad: bool
    grad_fn: str | None
    corner: tuple[float, ...]
    """The first two and the last two values in row order; empty if they cannot be read (meta device)."""
    persistent: bool
    """Whether it is saved in the state_dict under this name."""
    alias_of: str | None = None
    """The full name of its first owner, if the same tensor appeared earlier (tied weights, shared modules)."""

    def cells(self) -> tuple[str, ...]:
        """Return the columns of its line: name, shape, dtype, gradient, values, remark."""
        gradient = f"grad_fn={self.grad_fn}" if self.grad_fn else "requires_grad" if self.requires_grad else ""
        remarks = [f"tied to {self.alias_of}"] if self.alias_of else []
        remarks += ["not saved"] if self.kind == "buffer" and not self.persistent else []
        return (self.local, self.shape_text, self.dtype, gradient, self._values(), "; ".join(remarks))

    @property
    def shape_text(self) -> str:
        """The shape in words, such as `768×768`."""
        return "×".join(map(str, self.shape)) or "scalar"

    def _values(self) -> str:
        values = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in self.corner]
        return ", ".join([*values[:2], "…", *values[2:]] if math.prod(self.shape) > 4 and values else values)

    def to_dict(self) -> dict[str, Any]:
        """Convert the record to plain data for JSON; NaN and infinite values become text."""
        corner = [value if math.isfinite(value) else str(value) for value in self.corner]
        return {**asdict(self), "shape": list(self.shape), "corner": corner}


@dataclass(frozen=True, slots=True)
class HookRecord:
    """One forward pre-hook of one module. For hooks that do not prune, `tensor` and `history` are empty."""

    module: str
    tensor: str
    name: str
    """The class of the hook, or the name of the function."""
    history: tuple[str, ...]
    """The classes of the pruning steps in order; a single one unless the hook is a `PruningContainer`."""

    def line(self) -> str:
        """Write the hook in one line: its tensor, its class and, for a container, its history."""
        steps = f" of {', '.join(self.history)}" if self.history not in ((), (self.name,)) else ""
        return f"{self.tensor}: {self.name}{steps}" if self.tensor else f"{self.name} (no pruning)"

    def to_dict(self) -> dict[str, Any]:
        """Convert the record to plain data for JSON."""
        return {**asdict(self), "history": list(self.history)}


def tensor_records(path: str, module: nn.Module, first: dict[int, str]) -> Iterator[TensorRecord]:
    """Record the tensors of one module; `first` collects the first name of each tensor, to mark tied ones."""
    for local, tensor, kind in _tensors(module):
        name = full_name(path, local)
        owner = first.setdefault(id(tensor), name)
        yield TensorRecord(
            name=name,
            module=path,
            local=local,
            kind=kind,
            shape=tuple(tensor.shape),
            dtype=str(tensor.dtype).removeprefix("torch."),
            requires_grad=tensor.requires_grad,
            grad_fn=type(tensor.grad_fn).__name__ if tensor.grad_fn is not None else None,
            corner=_corner(tensor),
            persistent=kind != "derived" and local not in module._non_persistent_buffers_set,
            alias_of=owner if owner != name else None,
        )


def hook_records(path: str, module: nn.Module) -> Iterator[HookRecord]:
    """Record the forward pre-hooks of one module in the order in which torch calls them."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            yield HookRecord(path, hook._tensor_name, type(hook).__name__, history(hook))
        else:
            yield HookRecord(path, "", str(getattr(hook, "__name__", type(hook).__name__)), ())


def pruning_hooks(module: nn.Module, tensor: str) -> dict[int, BasePruningMethod]:
    """Find the pruning hooks of one tensor of a module, in the order in which torch calls them, by torch's key."""
    hooks = module._forward_pre_hooks.items()
    return {key: hook for key, hook in hooks if isinstance(hook, BasePruningMethod) and hook._tensor_name == tensor}


def history(hook: BasePruningMethod) -> tuple[str, ...]:
    """List the class names of the pruning steps of a hook, in the order in which they were applied."""
    steps = hook if isinstance(hook, PruningContainer) else (hook,)
    return tuple(type(step).__name__ for step in steps)


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor, Kind]]:
    for local, parameter in module._parameters.items():
        if parameter is not None and not is_lazy(parameter):
            yield local, parameter, "parameter"
    for local, buffer in module._buffers.items():
        if buffer is not None:
            yield local, buffer, "buffer"
    for local in pruned_names(module):
        if isinstance(derived := vars(module).get(local), torch.Tensor):
            yield local, derived, "derived"


def _corner(tensor: torch.Tensor) -> tuple[float, ...]:
    """Read the first two and the last two values in row order."""
    if tensor.is_meta or tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided:
        return ()
    tensor, size = tensor.detach(), tensor.numel()
    positions = range(size) if size <= 4 else (0, 1, size - 2, size - 1)
    # an index for each value, since flattening would copy a tensor that is not contiguous
    values = (tensor[_index(at, tuple(tensor.shape))].item() for at in positions)
    # one NaN object for all, so that equal records compare equal
    return tuple(math.nan if value != value else value for value in values)


def _index(at: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convert a position in row order to an index."""
    index: list[int] = []
    for length in reversed(shape):
        at, rest = divmod(at, length)
        index.insert(0, rest)
    return tuple(index)
