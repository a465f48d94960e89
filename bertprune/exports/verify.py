"""Read an export back, as its users will, and compare every tensor."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.load import load
from ..checkpoint.loading import building, quietly
from ..checkpoint.sentence_modules import transformer_path
from ..errors import CheckpointError, ExportError, Message
from ..seeded import Seeded
from .contents import Contents, Form, same_bits
from .same_outputs import check_same, outputs

_REPORTED = {
    "missing_keys": Message("missing tensors", code="exports.missing_tensors"),
    "unexpected_keys": Message("unexpected tensors", code="exports.unexpected_tensors"),
    "mismatched_keys": Message("tensors of another shape", code="exports.mismatched_tensors"),
}
"""What transformers' report of loading may list."""
_OTHER_REPORTS = Message("errors", code="exports.loading_errors")


def verify(folder: Path, contents: Contents, form: Form, out: Path, expected: list[Tensor] | None = None) -> int:
    """Reload the folder as its users will and compare every tensor; return how many there are. Raises ExportError.

    `expected` is what the model should give for made-up texts, where that is to be compared too.
    """
    try:
        back = load(folder) if form == "masked" else _from_pretrained(folder, contents)
        checked = _compare(back, contents, form)
        if expected is not None:
            check_same(expected, outputs(back))
        return checked
    except (ExportError, CheckpointError) as error:
        sentence = "{out}: verification failed ({error}); nothing was written"
        raise ExportError(sentence, code="exports.not_verified", out=str(out), error=error) from None


def _from_pretrained(folder: Path, contents: Contents) -> nn.Module:
    """Load with the class that the config names, as someone without bertprune does. Raises ExportError."""
    cls: Any = contents.model_class
    with building, Seeded(contents.seed or 0), quietly():
        path = transformer_of(folder)
        model, info = cls.from_pretrained(path, dtype=torch.float32, output_loading_info=True, local_files_only=True)
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
        if not same_bits(entry.value, read != 0 if entry.is_mask else read):
            raise ExportError("{name} differs when read back", code="exports.tensor_changed", name=entry.name)
    for name in sorted(found):
        raise ExportError("{name} was read back, but never written", code="exports.tensor_added", name=name)
    return count


def transformer_of(folder: Path) -> Path:
    """Return where in an export config.json and the weights are."""
    return folder / transformer_path(folder, folder.name)
