"""What a model holds at one moment: parameters, buffers, derived tensors, hooks. Light records, no weights.

A tensor under torch's pruning is three: `weight_orig` (a parameter), `weight_mask` (a buffer) and `weight`, a plain
attribute that the hook derives from the two before every forward pass. A snapshot shows all three for what they are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.prune import BasePruningMethod, PruningContainer

from .families import base_prefix
from .inspector import inspector
from .tree import resolve

Kind = Literal["parameter", "buffer", "derived"]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """One tensor of one module, as it was."""

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
    """The first two and the last two values in row order; empty where there are none to read (meta device)."""
    persistent: bool
    """Whether it is serialised under this name."""
    alias_of: str | None = None
    """The full name of its first owner, where the same tensor was met before (tied weights, shared modules)."""


@dataclass(frozen=True, slots=True)
class HookRecord:
    """One forward pre-hook of one module. `tensor` is empty for hooks that do not prune, and so is `history`."""

    module: str
    tensor: str
    name: str
    """The class of the hook, or the name of the function."""
    history: tuple[str, ...]
    """The classes of the pruning steps in order; one where the hook is no `PruningContainer`."""


@dataclass(frozen=True)
class Snapshot:
    """The records of a model, or of one module of it (see `module`)."""

    tensors: tuple[TensorRecord, ...]
    hooks: tuple[HookRecord, ...]
    state_dict_keys: tuple[str, ...]
    modules: tuple[str, ...] = field(repr=False)
    """Every module path, those without tensors too."""
    prefix: str = field(default="", repr=False)
    """What stands before the base model's paths, such as "bert."."""

    @property
    def parameters(self) -> tuple[TensorRecord, ...]:
        """The parameters, as `named_parameters` would list them."""
        return self._kind("parameter")

    @property
    def buffers(self) -> tuple[TensorRecord, ...]:
        """The buffers, as `named_buffers` would list them."""
        return self._kind("buffer")

    @property
    def derived(self) -> tuple[TensorRecord, ...]:
        """The plain attributes that pruning hooks make from an `_orig` parameter and a `_mask` buffer."""
        return self._kind("derived")

    def _kind(self, kind: Kind) -> tuple[TensorRecord, ...]:
        return tuple(record for record in self.tensors if record.kind == kind)

    def module(self, path: str) -> "Snapshot":
        """Return the part about one module alone, without its children; the base-model prefix may be left out.

        Raises SelectionError with the nearest paths where there is no such module.
        """
        path = resolve(path, self.modules, self.prefix)
        return Snapshot(
            tensors=tuple(record for record in self.tensors if record.module == path),
            hooks=tuple(hook for hook in self.hooks if hook.module == path),
            state_dict_keys=tuple(key for key in self.state_dict_keys if key.rpartition(".")[0] == path),
            modules=(path,),
            prefix=self.prefix,
        )

    def render(self) -> str:
        """Write the records as aligned plain text, module by module; modules that hold nothing are left out."""
        holding = {record.module for record in self.tensors} | {hook.module for hook in self.hooks}
        blocks = (inspector(self.module(path)) for path in self.modules if path in holding)
        return "\n\n".join(blocks) or inspector(self)

    def to_dict(self) -> dict[str, Any]:
        """Turn the records into plain data that JSON can hold; NaN and infinite values become text."""
        return {
            "tensors": [plain(record) for record in self.tensors],
            "hooks": [plain(hook) for hook in self.hooks],
            "state_dict_keys": list(self.state_dict_keys),
        }


def snapshot(model: nn.Module) -> Snapshot:
    """Record every tensor and forward pre-hook of a model, pruned by us, by plain torch, or not at all.

    Reads at most four values of each tensor and copies none; works on the meta device; pure. Owners of a tied tensor
    have a record each, the later ones marked by `alias_of`.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    first: dict[int, str] = {}
    return Snapshot(
        tensors=tuple(record for path, module in modules.items() for record in _tensors(path, module, first)),
        hooks=tuple(record for path, module in modules.items() for record in _hooks(path, module)),
        state_dict_keys=tuple(model.state_dict(keep_vars=True)),
        modules=tuple(modules),
        prefix=base_prefix(model),
    )


def plain(record: TensorRecord | HookRecord) -> dict[str, Any]:
    """Turn a record into plain data that JSON can hold."""
    data = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(record).items()}
    if "corner" in data:
        data["corner"] = [value if math.isfinite(value) else str(value) for value in data["corner"]]
    return data


def joined(path: str, local: str) -> str:
    """Join a module's path and a name within it."""
    return f"{path}.{local}" if path else local


def _tensors(path: str, module: nn.Module, first: dict[int, str]) -> Iterator[TensorRecord]:
    def record(local: str, tensor: torch.Tensor, kind: Kind, persistent: bool) -> TensorRecord:
        name = joined(path, local)
        owner = first.setdefault(id(tensor), name)
        return _record(path, local, tensor, kind, persistent, owner if owner != name else None)

    for local, parameter in module._parameters.items():
        if parameter is not None and not is_lazy(parameter):
            yield record(local, parameter, "parameter", True)
    for local, buffer in module._buffers.items():
        if buffer is not None:
            yield record(local, buffer, "buffer", local not in module._non_persistent_buffers_set)
    for local in originals(module):
        tensor = vars(module).get(local)
        if isinstance(tensor, torch.Tensor):
            yield record(local, tensor, "derived", False)


def originals(module: nn.Module) -> Iterator[str]:
    """Yield the names of the tensors of a module that torch's pruning has split into `_orig` and `_mask`."""
    for name in module._parameters:
        local = name.removesuffix("_orig")
        if local != name and f"{local}_mask" in module._buffers:
            yield local


def _record(
    path: str, local: str, tensor: torch.Tensor, kind: Kind, persistent: bool, alias_of: str | None
) -> TensorRecord:
    return TensorRecord(
        name=joined(path, local),
        module=path,
        local=local,
        kind=kind,
        shape=tuple(tensor.shape),
        dtype=str(tensor.dtype).removeprefix("torch."),
        requires_grad=tensor.requires_grad,
        grad_fn=type(tensor.grad_fn).__name__ if tensor.grad_fn is not None else None,
        corner=_corner(tensor),
        persistent=persistent,
        alias_of=alias_of,
    )


def corners(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the indices of the values that a record keeps: the first two and the last two in row order."""
    size = math.prod(shape)
    return tuple(_index(at, shape) for at in (range(size) if size <= 4 else (0, 1, size - 2, size - 1)))


def _corner(tensor: torch.Tensor) -> tuple[float, ...]:
    if tensor.is_meta or tensor.is_complex() or tensor.is_quantized or tensor.layout != torch.strided:
        return ()
    tensor = tensor.detach()
    values = (tensor[place].item() for place in corners(tuple(tensor.shape)))
    # one NaN object for all, so that equal records compare equal
    return tuple(math.nan if value != value else value for value in values)


def _index(at: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Turn a place in row order into an index; flattening would copy a tensor that is not contiguous."""
    index: list[int] = []
    for length in reversed(shape):
        at, rest = divmod(at, length)
        index.insert(0, rest)
    return tuple(index)


def _hooks(path: str, module: nn.Module) -> Iterator[HookRecord]:
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            yield HookRecord(path, hook._tensor_name, type(hook).__name__, history(hook))
        else:
            yield HookRecord(path, "", _function_name(hook), ())


def history(hook: BasePruningMethod) -> tuple[str, ...]:
    """Name the classes of the pruning steps that a hook stands for, in the order in which they were taken."""
    steps = hook if isinstance(hook, PruningContainer) else (hook,)
    return tuple(type(step).__name__ for step in steps)


def _function_name(hook: Callable[..., Any]) -> str:
    return str(getattr(hook, "__name__", type(hook).__name__))
