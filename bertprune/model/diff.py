"""The differences between two snapshots: tensors added, removed or changed, and hooks."""

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from ..text import aligned
from .records import HookRecord, TensorRecord
from .snapshot import Snapshot

_TITLES = {"corner": "values", "alias_of": "tied to"}


@dataclass(frozen=True)
class Change:
    """A tensor that both snapshots hold, with different records."""

    before: TensorRecord
    after: TensorRecord

    @property
    def name(self) -> str:
        """The full name of the tensor."""
        return self.after.name

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields that differ, such as `kind` and `grad_fn`."""
        names = (field.name for field in fields(TensorRecord))
        return tuple(name for name in names if getattr(self.before, name) != getattr(self.after, name))

    def describe(self) -> str:
        """Write old and new values of the fields; `persistent` is left out if the kind implies it."""
        return "; ".join(
            f"{_TITLES.get(name, name)}: {_short(getattr(self.before, name))} → {_short(getattr(self.after, name))}"
            for name in self.fields
            if not (name == "persistent" and "kind" in self.fields)
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert the change to plain data for JSON."""
        before, after = self.before.to_dict(), self.after.to_dict()
        return {"name": self.name, "fields": list(self.fields), "before": before, "after": after}


@dataclass(frozen=True)
class SnapshotDiff:
    """The differences between two snapshots, in the order of the model's modules.

    Records hold at most four values of a tensor, so a change of other values is not seen.

    Example:
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*layer.0.*key"))
        >>> [record.local for record in run.diff.added]
        ['weight_orig', 'weight_mask']
        >>> run.diff.changed[0].before.kind, run.diff.changed[0].after.kind
        ('parameter', 'derived')
    """

    added: tuple[TensorRecord, ...]
    removed: tuple[TensorRecord, ...]
    changed: tuple[Change, ...]
    hooks_added: tuple[HookRecord, ...]
    hooks_removed: tuple[HookRecord, ...]
    modules: tuple[str, ...]
    """The paths of the modules that differ."""

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return bool(self.modules)

    def render(self) -> str:
        """Write the differences as text, module by module: `+` added, `-` removed, `~` changed.

        Returns:
            A string of several lines, or "no difference".

        Example:
            >>> import bertprune as bp
            >>> print(bp.prune("demo", bp.Recipe()).diff.render())
            no difference
        """
        blocks = (f"{path or '(root)'}\n{aligned(self._rows(path))}" for path in self.modules)
        return "\n\n".join(blocks) or "no difference"

    def _rows(self, path: str) -> list[tuple[str, str, str]]:
        rows = [("  ~", one.after.local, one.describe()) for one in self.changed if one.after.module == path]
        rows += [("  +", one.local, _summary(one)) for one in self.added if one.module == path]
        rows += [("  -", one.local, _summary(one)) for one in self.removed if one.module == path]
        rows += [("  +", "hook", hook.line()) for hook in self.hooks_added if hook.module == path]
        return rows + [("  -", "hook", hook.line()) for hook in self.hooks_removed if hook.module == path]

    def to_dict(self) -> dict[str, Any]:
        """Convert the differences to plain data for JSON.

        Returns:
            A dict with the lists `added`, `removed`, `changed`, `hooks_added`, `hooks_removed` and `modules`.

        Example:
            >>> import bertprune as bp
            >>> list(bp.prune("demo", bp.Recipe()).diff.to_dict())
            ['added', 'removed', 'changed', 'hooks_added', 'hooks_removed', 'modules']
        """
        parts = ("added", "removed", "changed", "hooks_added", "hooks_removed")
        return {part: [one.to_dict() for one in getattr(self, part)] for part in parts} | {
            "modules": list(self.modules)
        }


def diff(before: Snapshot, after: Snapshot) -> SnapshotDiff:
    """Compare two snapshots of one model, or of two models with the same module paths."""
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


def _without(hooks: tuple[HookRecord, ...], known: tuple[HookRecord, ...]) -> tuple[HookRecord, ...]:
    """Subtract the known hooks, counting each: a module may have the same hook twice."""
    return tuple((Counter(hooks) - Counter(known)).elements())


def _summary(record: TensorRecord) -> str:
    return f"{record.kind}, {record.shape_text} {record.dtype}"


def _short(value: Any) -> str:
    return f"[{', '.join(f'{one:.4g}' for one in value)}]" if isinstance(value, tuple) else str(value)
