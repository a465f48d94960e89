"""The text that shows one module of a snapshot: what it holds, of which kind, with its hooks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..text import aligned

if TYPE_CHECKING:
    from .snapshot import HookRecord, Snapshot, TensorRecord


def inspector(part: Snapshot) -> str:
    """Write the records of one module: parameters, buffers, derived tensors, forward pre-hooks, state_dict keys."""
    sections = [("parameters", part.parameters), ("buffers", part.buffers)]
    sections += [("derived", part.derived)] if part.derived else []
    rows = [_cells(record) for _, records in sections for record in records]
    lines = iter(aligned(rows).splitlines() if rows else [])
    text = [part.modules[0] or "(root)"]
    for title, records in sections:
        text += _section(title, [next(lines) for _ in records])
    text += _section("forward_pre_hooks", map(hook_line, part.hooks))
    keys = ", ".join(key.rpartition(".")[2] for key in part.state_dict_keys)
    return "\n".join([*text, *_section("state_dict", [keys] if keys else [])])


def hook_line(hook: HookRecord) -> str:
    """Write a hook in a few words: its tensor, its class and, for a container, its history."""
    steps = f" of {', '.join(hook.history)}" if hook.history not in ((), (hook.name,)) else ""
    return f"{hook.tensor}: {hook.name}{steps}" if hook.tensor else f"{hook.name} (no pruning)"


def corner_text(record: TensorRecord) -> str:
    """Write the first and last values, an ellipsis where values are left out."""
    size = 1
    for length in record.shape:
        size *= length
    cells = [_value(value) for value in record.corner]
    return ", ".join([*cells[:2], "…", *cells[2:]] if size > 4 and cells else cells)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    yield f"  {title}" if found else f"  {title}: none"
    yield from (f"    {line}" for line in found)


def _cells(record: TensorRecord) -> tuple[str, ...]:
    shape = "×".join(map(str, record.shape)) or "scalar"
    return (record.local, shape, record.dtype, _grad(record), corner_text(record), _remark(record))


def _grad(record: TensorRecord) -> str:
    if record.grad_fn:
        return f"grad_fn={record.grad_fn}"
    return "requires_grad" if record.requires_grad else ""


def _remark(record: TensorRecord) -> str:
    said = [f"tied to {record.alias_of}"] if record.alias_of else []
    return "; ".join(said + (["not saved"] if record.kind == "buffer" and not record.persistent else []))


def _value(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
