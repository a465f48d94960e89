"""The model card: what the folder is, how it was made, and how to load it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from ..recipe import Recipe
from ..reports.counting import Count
from ..reports.sparsity import SparsityReport

Form = Literal["baked", "masked"]


@dataclass(frozen=True)
class Origin:
    """Where the weights came from, in words that hold on any machine."""

    name: str
    hub_id: str | None
    revision: str | None
    architecture: str
    model_type: str
    dtype: str

    @property
    def is_half(self) -> bool:
        """Tell whether the source keeps its weights in less than float32."""
        return self.dtype in ("float16", "bfloat16")


@dataclass(frozen=True)
class Weights:
    """The file of weights that the card speaks of."""

    name: str
    size: int
    """Bytes on disk."""


def card(origin: Origin, recipe: Recipe, seed: int, report: SparsityReport, form: Form, weights: Weights) -> str:
    """Write the model card as Markdown with front matter; the same input gives the same text."""
    parts = [
        _front_matter(origin),
        f"# {_code(origin.name)}, pruned",
        _summary(origin, report),
        "## How to load it\n\n" + (_load_baked(origin) if form == "baked" else _load_masked()),
        f"## How it was made\n\nSeed {seed}, and this recipe (`recipe.yaml`):\n\n{_fenced(recipe.to_yaml(), 'yaml')}",
        "## Sparsity\n\n" + _sparsity(report),
        "## Size\n\n" + _size(form, weights),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(origin: Origin) -> str:
    data: dict[str, Any] = {"base_model": origin.hub_id} if origin.hub_id else {}
    data |= {"library_name": "transformers", "tags": ["bertprune", "pruning", origin.model_type]}
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---"


def _summary(origin: Origin, report: SparsityReport) -> str:
    made_from = _code(origin.hub_id or origin.name) + (
        f" at revision {_code(origin.revision)}" if origin.revision else ""
    )
    return (
        f"A {_code(origin.architecture)} made from {made_from} with bertprune. {_share(report.total)} in the pruned "
        f"tensors were removed; that is {report.total.masked:,} of the model's {report.model.size:,} parameters."
    )


def _share(count: Count) -> str:
    return f"{count.masked:,} of {count.size:,} weights ({count.sparsity:.2%})"


def _load_baked(origin: Origin) -> str:
    dtype = ', dtype="float32"' if origin.is_half else ""
    code = (
        f"from transformers import {origin.architecture}\n\n"
        f'model = {origin.architecture}.from_pretrained("path/to/this/folder"{dtype})'
    )
    said = "Nothing but transformers is needed; the removed weights are plain zeros."
    if origin.is_half:
        said += (
            f" The weights are kept in {origin.dtype}, as in the source; pruning computed in float32, and so does the "
            "model when it is loaded as shown."
        )
    return f"{said}\n\n{_fenced(code, 'python')}"


def _load_masked() -> str:
    said = (
        "The tensors are in `masked.safetensors`, before pruning and with their masks, so that training can go on. "
        "Plain `from_pretrained` fails here on purpose; `bertprune export FOLDER OUT` makes a folder that it loads."
    )
    code = 'import bertprune as bp\n\nmodel = bp.load("path/to/this/folder")'
    return f"{said}\n\n{_fenced(code, 'python')}"


def _sparsity(report: SparsityReport) -> str:
    if not report.targets:
        return "Nothing was pruned."
    tensors = [
        (_code(record.name), " → ".join(record.history), record.count.size, record.count.masked, record.count.sparsity)
        for record in report.targets
    ]
    rows = [
        (name, history, f"{size:,}", f"{masked:,}", f"{share:.2%}") for name, history, size, masked, share in tensors
    ]
    groups = [f"By {key}:\n\n{_grouped(key, report)}" for key in ("layer", "role")]
    each = _table(("tensor", "methods", "weights", "removed", "share"), rows)
    return "\n\n".join([*groups, f"By tensor:\n\n{each}"])


def _grouped(key: Literal["layer", "role"], report: SparsityReport) -> str:
    counts = {"none" if name is None else str(name): count for name, count in report.by(key).items()}
    counts["all"] = report.total
    rows = [(name, f"{c.size:,}", f"{c.masked:,}", f"{c.sparsity:.2%}") for name, c in counts.items()]
    return _table((key, "weights", "removed", "share"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---:" if column in ("weights", "removed", "share") else "---" for column in columns]
    safe = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [columns, rule, *safe])


def _size(form: Form, weights: Weights) -> str:
    stored = "the zeros" if form == "baked" else "the removed weights and the masks"
    return (
        f"`{weights.name}` has {weights.size:,} bytes. A dense file stores {stored} like everything else: "
        "pruning by masks does not make it smaller."
    )


def _code(text: str) -> str:
    """Set text from outside as code, so that nothing in it is read as Markdown."""
    flat = " ".join(text.split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    return f"{ticks}{flat}{ticks}" if len(ticks) == 1 else f"{ticks} {flat} {ticks}"


def _fenced(text: str, language: str) -> str:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"
