"""Weights that a module reads from a child without calling it, so that the child's pruning hooks never run.

There the parent gets a hook of its own, which runs those of the child: without it the pruned weight would stay as it
was when it was pruned, whatever is trained or loaded since.
"""

from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod

READ_BY_PARENT = {
    "MultiheadAttention": ("out_proj",),
    "DebertaEncoder": ("rel_embeddings",),
    "DebertaV2Encoder": ("rel_embeddings",),
    "MobileBertLMPredictionHead": ("decoder", "dense"),
}
"""The children that are read so, by the class name of their parent."""


class DeriveChildren:
    """A forward pre-hook that runs the pruning hooks of the children which its module reads without calling them."""

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        """Derive the children's pruned tensors again."""
        for name in READ_BY_PARENT[type(module).__name__]:
            child = module._modules.get(name)
            for hook in child._forward_pre_hooks.values() if child is not None else ():
                if isinstance(hook, BasePruningMethod):
                    hook(child, inputs)


def reader_of(parent: nn.Module | None, child: str) -> nn.Module | None:
    """Return the parent if it reads this child without calling it."""
    return parent if child in READ_BY_PARENT.get(type(parent).__name__, ()) else None


def keep_derived(reader: nn.Module) -> None:
    """Give a module that reads pruned children its hook, once."""
    if not _hooks(reader):
        reader.register_forward_pre_hook(DeriveChildren())


def drop_unused(reader: nn.Module) -> None:
    """Take the hook off where no such child is pruned any more."""
    children = [reader._modules.get(name) for name in READ_BY_PARENT[type(reader).__name__]]
    hooks = (hook for child in children if child is not None for hook in child._forward_pre_hooks.values())
    if not any(isinstance(hook, BasePruningMethod) for hook in hooks):
        for key in _hooks(reader):
            del reader._forward_pre_hooks[key]


def _hooks(reader: nn.Module) -> list[int]:
    return [key for key, hook in reader._forward_pre_hooks.items() if isinstance(hook, DeriveChildren)]
