"""What of a folder goes to the Hub: one whole model with its card, and nothing else that lies beside it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, ModelCardData

from ..checkpoint import Checkpoint
from ..checkpoint.companions import companion_files, is_within
from ..checkpoint.onnx_folder import find_onnx
from ..checkpoint.sentence_modules import is_sentence_folder
from ..checkpoint.weight_files import INDEX
from ..errors import BertpruneError, ExportError, first_names, kind_of, shortened
from ..exports.folder import exported_files, files_in
from ..files import check_regular, from_home, name_of, reason_of
from .measured import REPORT_FILES, with_measured

CARD = "README.md"
_ALONG = (CARD, "LICENSE*", "NOTICE*")
"""What goes along with a model, whoever wrote it."""


@dataclass(frozen=True)
class Parcel:
    """The files of a whole model, by their paths in the repository."""

    name: str
    files: Mapping[str, Path]
    card: bytes | None
    """The card as it goes, with what was measured; None for none."""
    left_out: tuple[str, ...]
    """What else is in the folder."""

    def operations(self) -> dict[str, CommitOperationAdd]:
        """Return what the Hub's client sends for each file; for one commit only. Raises ExportError."""
        contents: dict[str, bytes | Path] = dict(sorted(self.files.items()))
        if self.card is not None:
            contents[CARD] = self.card
        try:
            return {file: CommitOperationAdd(file, content) for file, content in contents.items()}
        except (OSError, ValueError) as error:
            raise _unreadable(self.name, error) from None


def pack(given: Any) -> Parcel:
    """Find what is to go of a folder. Raises ExportError, and CheckpointError for a model that cannot be opened."""
    folder = _folder(given)
    name = shortened(name_of(folder.resolve()), 100)
    try:
        there = {file: path for file, path in files_in(folder).items() if not path.is_dir()}
        model = _model_files(folder, name, there)
        along = {file for file in there if any(fnmatchcase(file, pattern) for pattern in _ALONG)}
        files = {file: there[file] for file in model | along}
        for path in files.values():
            _check(folder, path, name)
        card = _card(folder, name)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(name, error) from None
    others = there.keys() - files.keys() - set(REPORT_FILES)
    return Parcel(name, files, card, tuple(sorted(others)))


def _folder(given: Any) -> Path:
    if not isinstance(given, str | Path):
        sentence = "the folder to push is given as a path, not {kind}; bp.export(…) writes one"
        raise ExportError(sentence, code="exports.push_path", kind=kind_of(given))
    folder = from_home(given, ExportError)
    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError):  # no path can have that name
        is_folder = False
    if not is_folder:
        sentence = "{name!r} is not a folder: give the folder of an export, or one that save_pretrained wrote"
        raise ExportError(sentence, code="exports.push_no_folder", name=shortened(str(folder), 100))
    return folder


def _model_files(folder: Path, name: str, there: Collection[str]) -> set[str]:
    """Return the files of the model: those that an export lists, and those that its loader reads."""
    listed = exported_files(folder)
    if lost := sorted(map(str, listed - set(there))):
        raise ExportError(
            "{name} is not a whole export: {files} is listed in its report.json, and not there; export it again",
            code="exports.push_not_whole", name=name, files=first_names(lost, most=3),
        )  # fmt: skip
    try:
        return listed if listed and find_onnx(folder) else listed | _loaded_files(folder, name)
    except BertpruneError as error:
        raise ExportError(
            "{name} is neither an export nor what save_pretrained writes: {reason}",
            code="exports.push_no_model", name=name, reason=error,
        ) from None  # fmt: skip


def _loaded_files(folder: Path, name: str) -> set[str]:
    checkpoint = Checkpoint.open(folder.absolute())
    home = folder / checkpoint.subfolder
    weights = {path.name for path in checkpoint.paths}
    beside = {"config.json", *weights, *(path.name for path in home.iterdir() if path.name.endswith(INDEX))}
    return {(home / file).relative_to(folder).as_posix() for file in beside} | companion_files(folder, name).keys()


def _check(folder: Path, path: Path, name: str) -> None:
    check_regular(path, ExportError)
    if not is_within(folder, path):
        raise ExportError(
            "{name}: {file} is a link to a file outside the folder: replace it by the file itself",
            code="exports.push_outside", name=name, file=path.name,
        )  # fmt: skip


def _card(folder: Path, name: str) -> bytes | None:
    """Return the card with what was measured; none where there is neither a card nor a report."""
    path = folder / CARD
    if not any((folder / file).is_file() for file in (CARD, *REPORT_FILES)):
        return None
    written = path.read_text(encoding="utf-8") if path.is_file() else _new_card(folder, name)
    return with_measured(written, folder).encode()


def _new_card(folder: Path, name: str) -> str:
    library = "sentence-transformers" if is_sentence_folder(folder) else "transformers"
    return f"---\n{ModelCardData(library_name=library).to_yaml()}\n---\n\n# {name}\n"


def _unreadable(name: str, error: OSError | ValueError) -> ExportError:
    return ExportError(
        "{name}: a file cannot be read ({reason})",
        code="exports.push_unreadable", name=name, reason=reason_of(error),
    )  # fmt: skip
