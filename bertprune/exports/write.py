"""Write an export: a run becomes a folder, complete and verified, or nothing at all."""

import copy
import errno
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.companions import companion_files
from ..checkpoint.loading import building, quietly
from ..checkpoint.masked import is_masked, load, open_masked
from ..checkpoint.sentence_modules import is_sentence_folder, transformer_path
from ..errors import CheckpointError, ExportError, Message, first_names
from ..parallel import Progress, silent
from ..runs.run import PruningRun
from ..seeded import Seeded
from .card import card
from .contents import WEIGHT_FILES, Contents, Form
from .folder import atomic_folder, check_target, files_in

_REPORTED = {
    "missing_keys": Message("missing tensors", code="exports.missing_tensors"),
    "unexpected_keys": Message("unexpected tensors", code="exports.unexpected_tensors"),
    "mismatched_keys": Message("tensors of another shape", code="exports.mismatched_tensors"),
}
"""What transformers' report of loading may list."""
_OTHER_REPORTS = Message("errors", code="exports.loading_errors")
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class ExportResult:
    """What was written, and where."""

    path: Path
    form: Form
    files: dict[str, int]
    """Bytes on disk by file name."""
    checked: int
    """How many tensors were read back and compared bit by bit."""

    @property
    def bytes(self) -> int:
        """The size of the whole folder on disk."""
        return sum(self.files.values())


def export(
    run: PruningRun, out: str | Path, form: Form = "baked", overwrite: bool = False, progress: Progress = silent
) -> ExportResult:
    """Write a run as a complete, verified folder, or write nothing.

    The files are written to a hidden folder next to `out`, read back, compared with the run and only then renamed to
    `out`. The folder holds config, weights, tokenizer, recipe, report and model card. Tensors have the source's dtype,
    and the same run gives the same bytes. What the run computed is written, even if `run.model` was changed since;
    the run and its checkpoint are not changed.

    Args:
        run: What `prune` returned.
        out: The folder to write; missing parent folders are created.
        form: "baked" loads with plain `from_pretrained` and has zeros for masked weights. "masked" keeps hooks, masks
            and history for `load`; plain `from_pretrained` fails on it.
        overwrite: Whether to replace an earlier export at `out`; nothing else is ever replaced.
        progress: Called with the share done (0 to 1) and a few words; it may raise to cancel.

    Returns:
        An `ExportResult`: `path`, `form`, `files` and `bytes` (sizes on disk), and `checked`, the number of tensors
        that were compared.

    Raises:
        ExportError: The form is unknown, the target cannot be used or written, or what was read back differs. In
            that case `out` is unchanged.
        CheckpointError: The weights of the run's checkpoint must be read again, and are gone or have changed.

    Example:
        >>> import tempfile
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sorted(bp.export(run, folder + "/pruned").files)  # doctest: +NORMALIZE_WHITESPACE
        ['README.md', 'config.json', 'model.safetensors', 'recipe.yaml', 'report.json', 'tokenizer.json',
         'tokenizer_config.json']
    """
    progress(0.0, "computing what is written")
    return _export(Contents.of(run), Path(out), check_form(form), overwrite, progress)


def export_folder(
    folder: str | Path, out: str | Path, form: Form = "baked", overwrite: bool = False, progress: Progress = silent
) -> ExportResult:
    """Write a folder in masked form again, as `export` would write its run. Raises CheckpointError and ExportError."""
    if not is_masked(folder):
        sentence = "{folder}: not a folder in masked form; `bertprune prune --form masked` writes one"
        raise ExportError(sentence, code="exports.not_masked", folder=str(folder))
    opened = open_masked(folder)
    check_target(Path(out), overwrite, opened.checkpoint.paths)  # before the long work
    progress(0.0, "computing what is written")
    return _export(Contents.of_folder(opened), Path(out), check_form(form), overwrite, progress)


def check_form(name: str) -> Form:
    """Return the form of that name. Raises ExportError."""
    forms: dict[str, Form] = {form: form for form in WEIGHT_FILES}
    if name not in forms:
        sentence = "form {form!r} is unknown; choose one of {known}"
        raise ExportError(sentence, code="exports.unknown_form", form=name, known=first_names(forms))
    return forms[name]


def _export(contents: Contents, out: Path, form: Form, overwrite: bool, progress: Progress) -> ExportResult:
    with atomic_folder(out, overwrite, contents.checkpoint.paths) as folder:
        progress(0.2, f"writing {WEIGHT_FILES[form]}")
        _write(folder, contents, form)
        progress(0.6, "reading it back")
        checked = _verify(folder, contents, form, out)
        files = {name: path.stat().st_size for name, path in files_in(folder).items()}
        progress(0.95, f"moving it to {out.name}")
    progress(1.0, f"wrote {out.name}")
    return ExportResult(out, form, files, checked)


def _write(folder: Path, contents: Contents, form: Form) -> None:
    _copy_companions(contents.checkpoint, folder)
    inner = _transformer_of(folder)
    inner.mkdir(exist_ok=True)
    config, weights = inner / "config.json", inner / WEIGHT_FILES[form]
    config.write_text(_config(contents.checkpoint), encoding="utf-8")
    _write_tensors(weights, contents.tensors(form))
    shutil.copymode(config, weights)  # safetensors makes its files readable by their owner alone
    (folder / "recipe.yaml").write_text(contents.recipe.to_yaml(), encoding="utf-8")
    (folder / "README.md").write_text(
        card(contents, form, weights.stat().st_size, is_sentence_folder(folder)), encoding="utf-8"
    )
    files = sorted({*files_in(folder), "report.json"})
    (folder / "report.json").write_text(_report(contents, form, files), encoding="utf-8")


def _copy_companions(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy what gives the same answers beside the weights: the tokenizer, settings, the modules of an embedding."""
    source = checkpoint.folder()
    files = {} if source is None else companion_files(source, checkpoint.name)
    for name, path in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(path, folder / name)


def _transformer_of(folder: Path) -> Path:
    """Return where in an export config.json and the weights are."""
    return folder / transformer_path(folder, folder.name)


def _config(checkpoint: Checkpoint) -> str:
    config = copy.deepcopy(checkpoint.config)
    config.architectures = [checkpoint.facts.architecture]
    return str(config.to_json_string())


def _report(contents: Contents, form: Form, files: list[str]) -> str:
    data = {
        **contents.record,
        "form": form,
        "files": files,
        "source": asdict(contents.origin),
        "seed": contents.seed,
        "sparsity": contents.sparsity.to_dict(),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _as_os_error(error) from None


def _as_os_error(error: SafetensorError) -> OSError:
    """Restore the system's error number, which safetensors only writes into its message."""
    digits = str(error).partition("(os error ")[2].partition(")")[0]
    number = int(digits) if digits.isdecimal() else errno.EIO
    return OSError(number, os.strerror(number))


def _verify(folder: Path, contents: Contents, form: Form, out: Path) -> int:
    """Reload the folder as its users will and compare every tensor; return how many there are. Raises ExportError."""
    try:
        back = _from_pretrained(folder, contents) if form == "baked" else load(folder)
        return _compare(back, contents, form)
    except (ExportError, CheckpointError) as error:
        sentence = "{out}: verification failed ({error}); nothing was written"
        raise ExportError(sentence, code="exports.not_verified", out=str(out), error=error) from None


def _from_pretrained(folder: Path, contents: Contents) -> nn.Module:
    """Load with the class that the config names, as someone without bertprune does. Raises ExportError."""
    cls: Any = type(contents.checkpoint.skeleton())
    with building, Seeded(contents.seed), quietly():
        path = _transformer_of(folder)
        model, info = cls.from_pretrained(path, dtype=torch.float32, output_loading_info=True, local_files_only=True)
    for kind, names in info.items():
        if names:
            sentence = "{model} reports {kind}: {name}"
            given = {"model": cls.__name__, "kind": _REPORTED.get(kind, _OTHER_REPORTS), "name": min(map(str, names))}
            raise ExportError(sentence, code="exports.loading_report", **given)
    return model  # type: ignore[no-any-return]


def _compare(model: nn.Module, contents: Contents, form: Form) -> int:
    found = dict(model.state_dict())
    expected = {entry.name: entry for entry in contents.entries(form)}
    for name in sorted(expected.keys() - found.keys()):
        raise ExportError("{name} is missing when read back", code="exports.tensor_lost", name=name)
    for name in sorted(found.keys() - expected.keys()):
        raise ExportError("{name} was read back, but never written", code="exports.tensor_added", name=name)
    for name, entry in expected.items():
        value = entry.value
        if value.dtype == torch.bool and contents.mask_dtype == "float":
            value = value.to(torch.float32)
        if not _same_bits(value, found[name]):
            raise ExportError("{name} differs when read back", code="exports.tensor_changed", name=name)
    return len(expected)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Compare two tensors bit by bit: zeros keep their signs, and NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    bits = _BITS[one.element_size()]
    return torch.equal(one.contiguous().view(bits), other.contiguous().view(bits))
