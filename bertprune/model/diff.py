"""What differs between two snapshots: tensors that came, went or changed their nature, and hooks."""

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from ..text import aligned
from .inspector import hook_line
from .snapshot import HookRecord, Snapshot, TensorRecord, plain

_TITLES = {"corner": "values", "alias_of": "tied to"}


@dataclass(frozen=True)
class Change:
    """A tensor that is there before and after, but not the same."""

    before: TensorRecord
    after: TensorRecord

    @property
    def name(self) -> str:
        """The full name of the tensor."""
        return self.after.name

    @property
    def fields(self) -> tuple[str, ...]:
        """Which fields of the record differ, such as `kind` and `grad_fn`."""
        names = (field.name for field in fields(TensorRecord))
        return tuple(name for name in names if getattr(self.before, name) != getattr(self.after, name))


@dataclass(frozen=True)
class SnapshotDiff:
    """The differences between two snapshots, in the order of the models' modules.

    Values are seen by the few that the records hold: a change elsewhere in a tensor does not show.
    """

    added: tuple[TensorRecord, ...]
    removed: tuple[TensorRecord, ...]
    changed: tuple[Change, ...]
    hooks_added: tuple[HookRecord, ...]
    hooks_removed: tuple[HookRecord, ...]
    modules: tuple[str, ...]
    """The paths of the modules in which anything differs."""

    def __bool__(self) -> bool:
        """Tell whether anything differs."""
        return bool(self.modules)

    def render(self) -> str:
        """Write the differences as plain text, module by module: `+` came, `-` went, `~` changed."""
        blocks = (f"{path or '(root)'}\n{aligned(self._rows(path))}" for path in self.modules)
        return "\n\n".join(blocks) or "no difference"

    def _rows(self, path: str) -> list[tuple[str, str, str]]:
        rows = [("  ~", one.after.local, _said(one)) for one in self.changed if one.after.module == path]
        rows += [("  +", one.local, _nature(one)) for one in self.added if one.module == path]
        rows += [("  -", one.local, _nature(one)) for one in self.removed if one.module == path]
        rows += [("  +", "hook", hook_line(hook)) for hook in self.hooks_added if hook.module == path]
        return rows + [("  -", "hook", hook_line(hook)) for hook in self.hooks_removed if hook.module == path]

    def to_dict(self) -> dict[str, Any]:
        """Turn the differences into plain data that JSON can hold."""
        return {
            "added": [plain(one) for one in self.added],
            "removed": [plain(one) for one in self.removed],
            "changed": [
                {"name": one.name, "fields": list(one.fields), "before": plain(one.before), "after": plain(one.after)}
                for one in self.changed
            ],
            "hooks_added": [plain(hook) for hook in self.hooks_added],
            "hooks_removed": [plain(hook) for hook in self.hooks_removed],
            "modules": list(self.modules),
        }


def diff(before: Snapshot, after: Snapshot) -> SnapshotDiff:
    """Compare two snapshots of one model, or of two models with the same module paths; pure."""
    was = {record.name: record for record in before.tensors}
    now = {record.name: record for record in after.tensors}
    added = tuple(record for name, record in now.items() if name not in was)
    removed = tuple(record for name, record in was.items() if name not in now)
    common = ((was[name], record) for name, record in now.items() if name in was)
    changed = tuple(Change(old, new) for old, new in common if old != new)
    hooks_added, hooks_removed = _without(after.hooks, before.hooks), _without(before.hooks, after.hooks)
    touched = {record.module for record in (*added, *removed, *(change.after for change in changed))}
    touched |= {hook.module for hook in (*hooks_added, *hooks_removed)}
    order = dict.fromkeys((*after.modules, *before.modules))
    modules = tuple(path for path in order if path in touched)
    return SnapshotDiff(added, removed, changed, hooks_added, hooks_removed, modules)


def _without(some: tuple[HookRecord, ...], others: tuple[HookRecord, ...]) -> tuple[HookRecord, ...]:
    """Take away as many of each hook as the others have; a module may carry the same hook twice."""
    return tuple((Counter(some) - Counter(others)).elements())


def _nature(record: TensorRecord) -> str:
    return f"{record.kind}, {'×'.join(map(str, record.shape)) or 'scalar'} {record.dtype}"


def _said(change: Change) -> str:
    """Tell what changed; how a tensor is saved follows from its kind and needs no word of its own."""
    return "; ".join(
        f"{_TITLES.get(name, name)}: {_short(getattr(change.before, name))} → {_short(getattr(change.after, name))}"
        for name in change.fields
        if not (name == "persistent" and "kind" in change.fields)
    )


def _short(value: Any) -> str:
    return f"[{', '.join(f'{one:.4g}' for one in value)}]" if isinstance(value, tuple) else str(value)
