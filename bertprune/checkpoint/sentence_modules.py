"""The modules of a sentence-transformers folder: a transformer, and what makes one embedding of its tokens."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, first_names, shortened
from .json_files import no_config, read_list, read_object

MODULES_FILE = "modules.json"
SETTINGS_FILE = "config_sentence_transformers.json"
MOST_MODULES = 64
_CLASSES = ("SentenceTransformer", "CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
_PATH = re.compile(r"[\w-][\w.-]{0,99}(/[\w-][\w.-]{0,99}){0,3}")


@dataclass(frozen=True)
class SentenceModule:
    """One entry of modules.json."""

    kind: str
    """The class, such as "Pooling"; with its package where that is not the library's."""
    path: str
    """Its folder within the whole, such as "1_Pooling"; empty for the whole itself."""

    @property
    def is_code(self) -> bool:
        """Return whether its class is in a Python file of the folder, or of another Hub model."""
        return self.kind.count(".") == 1 or "--" in self.kind


def is_sentence_folder(folder: Path) -> bool:
    """Return whether a folder is one of sentence-transformers."""
    return (folder / MODULES_FILE).exists()


def read_modules(folder: Path, name: str) -> tuple[SentenceModule, ...]:
    """Read the modules of a folder, the transformer first; none where it is a plain one. Raises CheckpointError."""
    if not is_sentence_folder(folder):
        return ()
    label = f"{name}: {MODULES_FILE}"
    entries = read_list(folder / MODULES_FILE, label)
    if not 1 <= len(entries) <= MOST_MODULES:
        raise CheckpointError(
            "{file} lists {count:,} modules: expected 1 to {most}",
            code="checkpoint.module_count", file=label, count=len(entries), most=MOST_MODULES,
        )  # fmt: skip
    return tuple(_module(entry, label) for entry in entries)


def transformer_path(folder: Path, name: str) -> str:
    """Return where in a folder its transformer is: empty for the folder itself. Raises CheckpointError."""
    modules = read_modules(folder, name)
    return modules[0].path if modules else ""


def transformer_folder(folder: Path, name: str) -> Path:
    """Return the folder with the config and the weights of a folder's transformer. Raises CheckpointError."""
    return folder / transformer_path(folder, name)


def no_transformer(folder: Path | None, name: str) -> CheckpointError:
    """Return the error for a folder without the config of a transformer, which names the module in its place."""
    modules = () if folder is None else read_modules(folder, name)
    if not modules:
        return no_config(name)
    kind = shortened(modules[0].kind)
    if inside := list(_transformers(folder)):
        return CheckpointError(
            "{name} begins with {kind} (modules.json), which is not a transformer: open the folder of one inside it,"
            " {inside}",
            code="checkpoint.transformer_inside", name=name, kind=kind, inside=first_names(inside, 3),
        )  # fmt: skip
    return CheckpointError(
        "{name} begins with {kind} (modules.json), which is not a transformer: {file} is not there",
        code="checkpoint.no_transformer", name=name, kind=kind,
        file="/".join(filter(None, (modules[0].path, "config.json"))),
    )  # fmt: skip


def _transformers(folder: Path | None) -> Iterator[str]:
    """Yield the folders within a folder that hold a transformer by themselves, as a Router keeps several."""
    for config in sorted(folder.glob("*/config.json")) if folder else ():
        if config.is_file() and "model_type" in read_object(config, config.name):
            yield shortened(config.parent.name, 80)


def library_class(folder: Path, name: str) -> str | None:
    """Return the class of sentence-transformers that loads a folder; None where it is a plain one."""
    if not is_sentence_folder(folder):
        return None
    path = folder / SETTINGS_FILE
    given = read_object(path, f"{name}: {SETTINGS_FILE}").get("model_type") if path.exists() else None
    return given if given in _CLASSES else _CLASSES[0]


def _module(entry: Any, label: str) -> SentenceModule:
    kind, path = (entry.get("type"), entry.get("path")) if isinstance(entry, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(path, str):
        raise CheckpointError(
            "{file} describes a module by {entry}: expected its type and its path",
            code="checkpoint.module_entry", file=label, entry=shortened(repr(entry)),
        )  # fmt: skip
    if path and not _PATH.fullmatch(path):
        raise CheckpointError(
            "{file} points to {path!r}: expected a folder within its own",
            code="checkpoint.module_path", file=label, path=shortened(path),
        )  # fmt: skip
    return SentenceModule(kind.rpartition(".")[2] if kind.startswith("sentence_transformers.") else kind, path)
