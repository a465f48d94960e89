"""`bertprune.export`: a run becomes a folder, whole and compared, or nothing at all."""

import copy
import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ..checkpoint import Checkpoint
from ..checkpoint.masked import open_masked
from ..errors import ExportError
from ..parallel import Progress, silent
from ..runs.run import PruningRun
from .card import Weights, card
from .check import check
from .folder import appearing, check_target, reason
from .masked import parts_of
from .parts import Parts
from .tensors import FILES, Form, stored


@dataclass(frozen=True)
class ExportResult:
    """Say what was written, and where."""

    path: Path
    form: Form
    files: dict[str, int]
    """Bytes on disk by file name."""
    checked: int
    """How many tensors were read back and compared, bit for bit."""

    @property
    def bytes(self) -> int:
        """The size of the whole folder on disk."""
        return sum(self.files.values())


def export(
    run: PruningRun, out: str | Path, form: Form = "baked", overwrite: bool = False, progress: Progress = silent
) -> ExportResult:
    """Write a run as a folder, and compare what was written with the run before the folder gets its name.

    `baked` loads with plain `from_pretrained`: masked weights are zeros. `masked` keeps hooks, masks and history for
    `bertprune.load`, and plain `from_pretrained` fails on it. Both hold config, tokenizer, recipe, report and card;
    tensors have the source's dtype, and the same run gives the same bytes. What is written is what the run computed,
    whatever has become of `run.model` since; the run and its checkpoint are not changed. Missing parent folders are
    made. With `overwrite` an earlier export steps aside, and is back if anything fails; nothing else is replaced.

    Raises ExportError; then, or when the process is killed, there is nothing new at `out`.
    """
    refuse(run.checkpoint, out, overwrite)
    return _export(lambda: Parts.of(run), run.checkpoint, Path(out), form_of(form), overwrite, progress)


def export_folder(
    folder: str | Path, out: str | Path, form: Form = "baked", overwrite: bool = False, progress: Progress = silent
) -> ExportResult:
    """Write a folder in masked form once more, as `export` would have written its run.

    Raises CheckpointError for a folder that cannot be read, and ExportError.
    """
    opened = open_masked(folder)
    refuse(opened.checkpoint, out, overwrite)
    name = Path(folder).resolve().name
    return _export(lambda: parts_of(opened, name), opened.checkpoint, Path(out), form_of(form), overwrite, progress)


def form_of(name: str) -> Form:
    """Return the form of that name. Raises ExportError."""
    found: dict[str, Form] = {form: form for form in FILES}
    if name not in found:
        raise ExportError(f"form {name!r} is not known; choose {' or '.join(found)}")
    return found[name]


def refuse(checkpoint: Checkpoint, out: str | Path, overwrite: bool) -> None:
    """Say at once what is wrong with a target, before any long work. Raises ExportError."""
    try:
        check_target(Path(out), overwrite, checkpoint.paths)
    except OSError as error:
        raise ExportError(f"{out}: cannot be written ({reason(error)})") from None
    except ValueError as error:
        raise ExportError(f"{str(out)!r}: not a name for a folder ({error})") from None


def _export(
    make: Callable[[], Parts], checkpoint: Checkpoint, out: Path, form: Form, overwrite: bool, progress: Progress
) -> ExportResult:
    with appearing(out, overwrite, checkpoint.paths) as folder:
        progress(0.0, "computing what is written")
        parts = make()
        progress(0.2, f"writing {FILES[form]}")
        _write(folder, parts, form)
        progress(0.6, "reading it back")
        checked = check(folder, parts, form, str(out))
        files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        progress(0.95, f"moving it to {out.name}")
    progress(1.0, f"wrote {out.name}")
    return ExportResult(out, form, files, checked)


def _write(folder: Path, parts: Parts, form: Form) -> None:
    config = folder / "config.json"
    config.write_text(_config(parts.checkpoint), encoding="utf-8")
    weights = folder / FILES[form]
    _write_tensors(weights, stored(parts.checkpoint, parts.checkpoint.model(parts.seed), parts.masks, form))
    shutil.copymode(config, weights)  # safetensors makes its files readable by their owner alone
    for path in parts.checkpoint.tokenizer_files:
        shutil.copyfile(path, folder / path.name)
    (folder / "recipe.yaml").write_text(parts.recipe.to_yaml(), encoding="utf-8")
    size = Weights(weights.name, weights.stat().st_size)
    text = card(parts.origin, parts.recipe, parts.seed, parts.report, form, size)
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(_report(folder, parts, form), encoding="utf-8")


def _config(checkpoint: Checkpoint) -> str:
    config = copy.deepcopy(checkpoint.config)
    config.architectures = [checkpoint.facts.architecture]
    return str(config.to_json_string())


def _report(folder: Path, parts: Parts, form: Form) -> str:
    files = sorted({path.name for path in folder.iterdir()} | {"report.json"})
    data = {
        **parts.told,
        "form": form,
        "files": files,
        "source": asdict(parts.origin),
        "seed": parts.seed,
        "sparsity": parts.report.to_dict(),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise _as_os_error(error) from None


def _as_os_error(error: SafetensorError) -> OSError:
    """Give the number of the system's error back, which safetensors has put into words."""
    digits = str(error).partition("(os error ")[2].partition(")")[0]
    number = int(digits) if digits.isdecimal() else errno.EIO
    return OSError(number, os.strerror(number))
