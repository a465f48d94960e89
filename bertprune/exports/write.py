"""Write an export: a run becomes a folder, complete and verified, or nothing at all."""

import errno
import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.companions import companion_files
from ..checkpoint.irregular import Loads, as_regular
from ..checkpoint.sentence_modules import library_class
from ..errors import ExportError, first_names, kind_of, shown
from ..files import from_home, os_error_in
from ..parallel import Progress, check_progress, silent
from ..runs.run import PruningRun
from ..undisturbed import undisturbed
from .card import Details, card
from .contents import WEIGHT_FILES, Contents, Form
from .draft import Draft
from .drift import Drift
from .folder import atomic_folder, check_target, files_in
from .gather import checkpoint_of, gather
from .precision import Dtype, Precision, Quantize, check_precision
from .same_outputs import outputs_of
from .small import shrink
from .tokenizer import write_tokenizer
from .verify import verify


@dataclass(frozen=True)
class ExportResult:
    """What was written, and where."""

    path: Path
    form: Form
    files: dict[str, int]
    """Bytes on disk by file name."""
    checked: int
    """How many tensors were read back and compared bit by bit; 0 for ONNX, whose outputs were compared."""
    loads: Loads = "plain"
    """What is needed: "plain" for transformers alone, "bertprune" for that package beside it, "anywhere" for ONNX."""
    drift: Drift | None = None
    """How far the answers are from those in float32, where half precision or int8 was asked for."""
    config: tuple[str, ...] = ()
    """The values in config.json that are the model's, and other than the checkpoint's: the names of labels."""

    @property
    def bytes(self) -> int:
        """The size of the whole folder on disk."""
        return sum(self.files.values())


def export(
    source: PruningRun | nn.Module | Checkpoint | str | Path,
    out: str | Path,
    form: Form = "baked",
    overwrite: bool = False,
    progress: Progress = silent,
    *,
    like: Checkpoint | str | Path | None = None,
    dtype: Dtype | None = None,
    quantize: Quantize | None = None,
    texts: Any = None,
) -> ExportResult:
    """Write a run, a pruned model or a pruned checkpoint as a complete, verified folder, or write nothing.

    The files are written to a hidden folder next to `out`, read back, compared with the source and only then renamed to
    `out`. The folder holds config, weights, tokenizer, recipe, report and model card. Tensors have the source's dtype,
    and the same run gives the same bytes. The model is written as it is now: if `run.model` was trained, pruned further
    or baked, its present values and masks are written and counted again, and report and card say so; names of labels
    that were set in its config are kept. Any other change (another module, a setting, a hook) is refused, since no
    folder could hold it. What is written from an earlier export keeps its recipe, seed and record; a run of one names
    them in report and card. The source is not changed.

    Args:
        source: What `prune` returned; or a model that you pruned, trained or baked yourself, with `like`; or a
            checkpoint that holds a pruned model, such as a folder in masked form, to write it in another form. The
            forms small and onnx, and another dtype, take a checkpoint without masks too.
        out: The folder to write; missing parent folders are created.
        form: "baked" loads with plain `from_pretrained` and has zeros for masked weights. "masked" keeps hooks, masks
            and history for `load`; plain `from_pretrained` fails on it. "small" takes out the neurons and heads that
            are wholly masked; it loads with plain `from_pretrained` where all layers still have the same shapes, and
            with bertprune installed where they do not. "onnx" takes them out too, and writes `onnx/model.onnx`, which
            onnxruntime runs; it needs `pip install "bertprune[onnx]"`.
        overwrite: Whether to replace an earlier export at `out`; nothing else is ever replaced.
        progress: Called with the share done (0 to 1) and a few words; it may raise to cancel.
        like: For a model only: the checkpoint that it came from, whose config, tokenizer and dtypes the folder gets,
            and whose recipe, where it is an export.
        dtype: "float32", "float16" or "bfloat16", the dtype of the weights; default None, that of the source, and
            float32 for ONNX.
        quantize: "int8" for ONNX: multiplications and embeddings in 8 bits; default None.
        texts: For half precision and int8: texts on which the drift of the answers is measured, a list, a file or a
            `Calibration`; default None, 64 of the sample reviews.

    Returns:
        An `ExportResult`: `path`, `form`, `files` and `bytes` (sizes on disk), `checked`, the number of tensors that
        were compared, `loads`, what is needed to load it ("plain", "bertprune" or "anywhere"), `drift`, what half
        precision or int8 changes, and `config`, the values of config.json that are the model's own.

    Raises:
        ExportError: An option is unknown or does not go with the form, the target cannot be used or written, the model
            is not like the checkpoint, or what was read back differs. In that case `out` is unchanged.
        CheckpointError: The files of the checkpoint are gone or have changed since it was opened, or ONNX is not
            installed.

    Example:
        >>> import tempfile
        >>> import bertprune as bp
        >>> run = bp.prune("demo", bp.Step(method="l1_unstructured", fraction=0.5, select="*.query"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sorted(bp.export(run, folder + "/pruned").files)  # doctest: +NORMALIZE_WHITESPACE
        ['README.md', 'config.json', 'model.safetensors', 'recipe.yaml', 'report.json', 'tokenizer.json',
         'tokenizer_config.json']
    """
    kind = check_form(form)
    precision = check_precision(kind, dtype, quantize, texts)
    check_progress(progress)
    if not isinstance(out, str | Path):
        raise ExportError("the folder to write is given as a path, not {kind}", code="exports.path", kind=kind_of(out))
    target, checkpoint = from_home(out, ExportError), checkpoint_of(source, like)
    check_target(target, overwrite, checkpoint.paths)  # before the long work
    progress(0.0, "preparing the tensors")
    checkpoint.check_unchanged()
    stored: Dtype | None = "float32" if kind == "onnx" else precision.dtype
    contents = gather(source, checkpoint, plain=kind in ("small", "onnx") or dtype is not None)
    return _export(replace(contents, dtype=stored), target, kind, precision, overwrite, progress)


def check_form(name: str) -> Form:
    """Return the form of that name. Raises ExportError."""
    forms: dict[str, Form] = {form: form for form in WEIGHT_FILES}
    if not isinstance(name, str) or name not in forms:
        sentence = "form {form} is unknown; choose one of {known}"
        raise ExportError(sentence, code="exports.unknown_form", form=shown(name), known=first_names(forms))
    return forms[name]


@undisturbed()
def _export(
    contents: Contents, out: Path, form: Form, precision: Precision, overwrite: bool, progress: Progress
) -> ExportResult:
    expected = None
    if (small := _smaller(contents, form)) is not None:
        progress(0.1, "running the masked model")
        expected, contents = outputs_of(contents), small
    with atomic_folder(out, overwrite, contents.checkpoint.paths) as folder:
        draft = Draft(folder, contents, form, precision)
        progress(0.2, f"writing {WEIGHT_FILES[form]}")
        _write(draft)
        progress(0.6, "reading it back")
        verified = verify(draft, out, expected)
        if verified.drift is not None:
            _describe(draft, verified.drift)
        files = {name: path.stat().st_size for name, path in files_in(folder).items()}
        progress(0.95, f"moving it to {out.name}")
    progress(1.0, f"wrote {out.name}")
    return ExportResult(
        out, form, files, verified.tensors, contents.loads(form), verified.drift, tuple(contents.config)
    )


def _smaller(contents: Contents, form: Form) -> Contents | None:
    """Take out what is wholly masked; for ONNX only where there is something, and it is known what goes together."""
    if form not in ("small", "onnx"):
        return None
    try:
        return shrink(contents)
    except ExportError as error:
        if form == "small" or not error.code.startswith(("exports.nothing_small", "exports.small_")):
            raise
        return None


def _write(draft: Draft) -> None:
    contents = draft.contents
    _copy_companions(contents.checkpoint, draft.folder)  # among them what says where the transformer is
    inner = draft.inner
    inner.mkdir(exist_ok=True)
    write_tokenizer(contents, inner)
    config, is_onnx = inner / "config.json", draft.form == "onnx"
    described = as_regular(contents.model_config) if is_onnx else contents.model_config
    config.write_text(str(described.to_json_string()), encoding="utf-8")
    if is_onnx:
        draft.onnx.write()
    else:
        _write_tensors(draft.weights, contents.tensors(draft.form))
        shutil.copymode(config, draft.weights)  # safetensors makes its files readable by their owner alone
    if contents.recipe is not None:
        (draft.folder / "recipe.yaml").write_text(contents.recipe.to_yaml(), encoding="utf-8")
    _describe(draft)


def _describe(draft: Draft, drift: Drift | None = None) -> None:
    """Write card and report, which tell of the drift once that is known."""
    folder, contents, form, weights = draft.folder, draft.contents, draft.form, draft.weights
    size = sum(path.stat().st_size for path in weights.parent.glob(f"{weights.name}*"))  # a large ONNX model is in two
    details = Details(draft.precision, drift)
    if form == "onnx":
        details = replace(details, lines=draft.onnx.lines(), facts=draft.onnx.facts())
    readme = card(contents, form, size, library_class(folder, contents.origin.name), details)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    files = sorted({*files_in(folder), "report.json"})
    (folder / "report.json").write_text(_report(contents, form, files, details), encoding="utf-8")


def _copy_companions(checkpoint: Checkpoint, folder: Path) -> None:
    """Copy what gives the same answers beside the weights: the tokenizer, settings, the modules of an embedding."""
    source = checkpoint.folder()
    files = {} if source is None else companion_files(source, checkpoint.name)
    for name, path in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copyfile(path, folder / name)


def _report(contents: Contents, form: Form, files: list[str], details: Details) -> str:
    data = {
        **contents.record,
        "form": form,
        "files": files,
        "source": asdict(contents.origin),
        "seed": contents.seed,
        "sparsity": contents.sparsity.to_dict(),
        "loads": contents.loads(form),
    }
    if small := contents.smaller:
        data["small"] = {"neurons": small.neurons, "heads": small.heads, "parameters": small.parameters}
    if details.facts:
        data["onnx"] = details.facts
    elif contents.dtype:
        data["dtype"] = contents.dtype
    if details.drift:
        data["drift"] = asdict(details.drift)
    if contents.changed:
        data["changed"] = [contents.stored(name) for name in contents.changed]
    if contents.set_in_config:
        data["config"] = list(contents.set_in_config)
    if contents.earlier:
        data["earlier"] = [made.plain() for made in contents.earlier]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise os_error_in(error) or OSError(errno.EIO, os.strerror(errno.EIO)) from None
