"""Read an export back, as its users will, and compare every tensor."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.json_files import first_line
from ..checkpoint.load import load
from ..checkpoint.loading import building, quietly
from ..errors import CheckpointError, ExportError, Message
from ..seeded import Seeded
from .contents import Contents, Form, same_bits
from .draft import Draft
from .drift import Drift, drift_on
from .same_outputs import check_same, model_of, outputs
from .tokenizer import check_tokenizer

_REPORTED = {
    "missing_keys": Message("missing tensors", code="exports.missing_tensors"),
    "unexpected_keys": Message("unexpected tensors", code="exports.unexpected_tensors"),
    "mismatched_keys": Message("tensors of another shape", code="exports.mismatched_tensors"),
}
"""What transformers' report of loading may list."""
_OTHER_REPORTS = Message("errors", code="exports.loading_errors")


@dataclass(frozen=True)
class Verified:
    """What was compared."""

    tensors: int
    """How many were equal bit by bit; 0 for ONNX, whose outputs are compared."""
    drift: Drift | None = None
    """How far the answers are from those in float32; None where they are the same."""


def verify(draft: Draft, out: Path, expected: list[Tensor] | None = None) -> Verified:
    """Reload the folder as its users will, and compare every tensor, or for ONNX every output. Raises ExportError.

    `expected` is what the model should give for made-up texts, where that is to be compared too.
    """
    contents, form = draft.contents, draft.form
    try:
        check_tokenizer(contents, draft.inner)
        if form == "onnx":
            return Verified(0, draft.onnx.check(expected))
        back = load(draft.folder) if form == "masked" else _from_pretrained(draft)
        checked = _compare(back, contents, form)
        if expected is not None:
            check_same(expected, outputs(model_of(contents) if draft.precision.drifts else back))
        return Verified(checked, _drift(back, draft))
    except (ExportError, CheckpointError) as error:
        sentence = "{out}: verification failed ({error}); nothing was written"
        raise ExportError(sentence, code="exports.not_verified", out=str(out), error=error) from None


def _drift(back: nn.Module, draft: Draft) -> Drift | None:
    """Compare what half precision answers, as it loads, with what was pruned in float32."""
    contents, precision = draft.contents, draft.precision
    if not precision.drifts:
        return None
    loaded = back if draft.form == "masked" else _from_pretrained(draft, "auto").eval()
    try:
        return drift_on(precision.texts, draft.folder, contents.checkpoint.name, model_of(contents), loaded)
    except RuntimeError as error:
        raise ExportError(
            "{model}, as transformers loads it in {dtype}, does not run ({reason}): choose float32",
            code="exports.half_does_not_run", model=contents.model_class.__name__, dtype=precision.dtype,
            reason=first_line(error),
        ) from None  # fmt: skip


def _from_pretrained(draft: Draft, dtype: torch.dtype | str = torch.float32) -> nn.Module:
    """Load with the class that the config names, as someone without bertprune does. Raises ExportError."""
    cls: Any = draft.contents.model_class
    with building, Seeded(draft.contents.seed or 0), quietly():
        model, info = cls.from_pretrained(draft.inner, dtype=dtype, output_loading_info=True, local_files_only=True)
    for kind, names in info.items():
        if names:
            sentence = "{model} reports {kind}: {name}"
            given = {"model": cls.__name__, "kind": _REPORTED.get(kind, _OTHER_REPORTS), "name": min(map(str, names))}
            raise ExportError(sentence, code="exports.loading_report", **given)
    return model  # type: ignore[no-any-return]


def _compare(model: nn.Module, contents: Contents, form: Form) -> int:
    found = dict(model.state_dict())
    count = len(found)
    for entry in contents.entries(form):
        if entry.name not in found:
            raise ExportError("{name} is missing when read back", code="exports.tensor_lost", name=entry.name)
        read = found.pop(entry.name)
        written = contents.as_written(entry).to(entry.value.dtype)
        if not same_bits(written, read != 0 if entry.is_mask else read):
            raise ExportError("{name} differs when read back", code="exports.tensor_changed", name=entry.name)
    for name in sorted(found):
        raise ExportError("{name} was read back, but never written", code="exports.tensor_added", name=name)
    return count
