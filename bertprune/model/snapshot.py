"""The parameters, buffers, derived tensors and hooks of a model at one moment.

torch's pruning turns one tensor into three: `weight_orig` (a parameter), `weight_mask` (a buffer) and `weight`, a plain
attribute that the hook computes from the other two before every forward pass. A snapshot shows all three as such.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..text import aligned
from .families import base_prefix
from .given import given_model
from .names import find_path
from .records import HookRecord, Kind, TensorRecord, hook_records, tensor_records


@dataclass(frozen=True)
class Snapshot:
    """Hold the records of a model, or of one of its modules (see `module`)."""

    tensors: tuple[TensorRecord, ...]
    hooks: tuple[HookRecord, ...]
    state_dict_keys: tuple[str, ...]
    modules: tuple[str, ...] = field(repr=False)
    """Every module path, including modules without tensors."""
    prefix: str = field(default="", repr=False)
    """The prefix of the base model's paths, such as "bert."."""

    @property
    def parameters(self) -> tuple[TensorRecord, ...]:
        """The parameters, as `named_parameters` lists them."""
        return self._of_kind("parameter")

    @property
    def buffers(self) -> tuple[TensorRecord, ...]:
        """The buffers, as `named_buffers` lists them."""
        return self._of_kind("buffer")

    @property
    def derived(self) -> tuple[TensorRecord, ...]:
        """The plain attributes that pruning hooks compute from an `_orig` parameter and a `_mask` buffer."""
        return self._of_kind("derived")

    def _of_kind(self, kind: Kind) -> tuple[TensorRecord, ...]:
        return tuple(record for record in self.tensors if record.kind == kind)

    def module(self, path: str) -> "Snapshot":
        """Return the part of the snapshot about one module alone, without its children.

        Args:
            path: A string, the module's path, with or without the base-model prefix ("bert.").

        Returns:
            A `Snapshot` of that module.

        Raises:
            SelectionError: No module has this path; the message lists the nearest ones.

        Example:
            >>> import bertprune as bp, torch
            >>> whole = bp.snapshot(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)))
            >>> [record.name for record in whole.module("1").parameters]
            ['1.weight', '1.bias']
        """
        path = find_path(path, self.modules, self.prefix)
        return Snapshot(
            tensors=tuple(record for record in self.tensors if record.module == path),
            hooks=tuple(hook for hook in self.hooks if hook.module == path),
            state_dict_keys=tuple(key for key in self.state_dict_keys if key.rpartition(".")[0] == path),
            modules=(path,),
            prefix=self.prefix,
        )

    def render(self) -> str:
        """Write the records as aligned text, module by module; modules without tensors and hooks are left out.

        Returns:
            A string of several lines.

        Example:
            >>> import bertprune as bp, torch
            >>> layer = torch.nn.Linear(2, 1, bias=False)
            >>> _ = torch.nn.init.constant_(layer.weight, 0.5)
            >>> print(bp.snapshot(layer).render())
            (root)
              parameters
                weight  1×2  float32  requires_grad  0.5, 0.5
              buffers: none
              forward_pre_hooks: none
              state_dict
                weight
        """
        holding = {record.module for record in self.tensors} | {hook.module for hook in self.hooks}
        blocks = ("\n".join(_lines(self.module(path))) for path in self.modules if path in holding)
        return "\n\n".join(blocks) or "\n".join(_lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Convert the records to plain data for JSON; NaN and infinite values become text.

        Returns:
            A dict with the lists `tensors`, `hooks` and `state_dict_keys`.

        Example:
            >>> import bertprune as bp, torch
            >>> bp.snapshot(torch.nn.Linear(2, 2)).to_dict()["state_dict_keys"]
            ['weight', 'bias']
        """
        return {
            "tensors": [record.to_dict() for record in self.tensors],
            "hooks": [hook.to_dict() for hook in self.hooks],
            "state_dict_keys": list(self.state_dict_keys),
        }


def snapshot(model: nn.Module) -> Snapshot:
    """Record every tensor and forward pre-hook of a model, whether pruned by bertprune, by plain torch, or not.

    At most four values of each tensor are read and none is copied; a model on the meta device works; the model is not
    changed. Each owner of a tied tensor has a record, the later ones with `alias_of`.

    Args:
        model: A `torch.nn.Module`; or a run, whose model is recorded as it is now (`run.after` is what its recipe
            left).

    Returns:
        A `Snapshot`.

    Raises:
        BertpruneError: `model` is not a model.

    Example:
        >>> import bertprune as bp, torch
        >>> from torch.nn.utils import prune
        >>> layer = prune.l1_unstructured(torch.nn.Linear(4, 4), "weight", amount=4)
        >>> seen = bp.snapshot(layer)
        >>> [(record.local, record.kind) for record in seen.tensors]
        [('bias', 'parameter'), ('weight_orig', 'parameter'), ('weight_mask', 'buffer'), ('weight', 'derived')]
        >>> seen.hooks[0].name
        'L1Unstructured'
    """
    model = given_model(model, "bp.snapshot")
    modules = dict(model.named_modules(remove_duplicate=False))
    first: dict[int, str] = {}
    return Snapshot(
        tensors=tuple(record for path, module in modules.items() for record in tensor_records(path, module, first)),
        hooks=tuple(hook for path, module in modules.items() for hook in hook_records(path, module)),
        state_dict_keys=tuple(model.state_dict(keep_vars=True)),
        modules=tuple(modules),
        prefix=base_prefix(model),
    )


def _lines(part: Snapshot) -> Iterator[str]:
    """Write one module: parameters, buffers, derived tensors, hooks, state_dict keys."""
    sections = [("parameters", part.parameters), ("buffers", part.buffers)]
    sections += [("derived", part.derived)] if part.derived else []
    cells = [record.cells() for _, records in sections for record in records]
    rows = iter(aligned(cells).splitlines())  # one table, so that the columns of all sections line up
    yield part.modules[0] or "(root)"
    for title, records in sections:
        yield from _section(title, [next(rows) for _ in records])
    yield from _section("forward_pre_hooks", [hook.line() for hook in part.hooks])
    keys = ", ".join(key.rpartition(".")[2] for key in part.state_dict_keys)
    yield from _section("state_dict", [keys] if keys else [])


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    lines = [f"    {line}" for line in lines]
    yield f"  {title}" if lines else f"  {title}: none"
    yield from lines
