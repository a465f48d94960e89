"""Which files go along with an export, so that it gives the same answers; never code, never other weights."""

import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..errors import BertpruneWarning, CheckpointError, shortened
from ..files import check_regular
from .hub import LARGEST_SMALL, HubModel
from .network import Unreachable
from .sentence_modules import MODULES_FILE, SETTINGS_FILE, SentenceModule, read_modules
from .tokenizer_files import has_vocabulary, is_tokenizer_file
from .weight_files import SINGLE, file_weights

MOST_FILES = 256
RECORD = ("recipe.yaml", "report.json")
"""The files of an export of ours that say how it was made; the second is fetched last, and tells that both are here."""
_OF_TRANSFORMER = (
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_*_config.json",
)
_OF_MODULE = ("*.json", "*.txt", "*.model")
_WITHOUT_FILES = ("Normalize", "Dropout")
"""Modules that may have no file of their own."""


def companion_files(folder: Path, name: str) -> dict[str, Path]:
    """Return the files that go along with the weights of a folder, by their path from there.

    They are the tokenizer, settings, and of a sentence-transformers folder all other modules with their weights.
    Raises CheckpointError for a file that is outside the folder, too large, not regular or not what it seems.
    """
    _refuse_code(folder, name)
    found = find_companions(folder, name)
    if len(found) > MOST_FILES:
        raise CheckpointError(
            "{name} has {count:,} files beside its weights: at most {most} are exported with them",
            code="checkpoint.too_many_companions", name=name, count=len(found), most=MOST_FILES,
        )  # fmt: skip
    for file, path in found.items():
        _check(folder, file, path, name)
    return found


def _refuse_code(folder: Path, name: str) -> None:
    if code := next((module.kind for module in read_modules(folder, name) if module.is_code), None):
        raise CheckpointError(
            "{name}: modules.json names {kind}, which is code in the folder and never copied, so nothing could load"
            " the export: name a class of sentence-transformers there, or remove modules.json",
            code="checkpoint.module_of_code", name=name, kind=shortened(code),
        )  # fmt: skip


def find_companions(folder: Path, name: str) -> dict[str, Path]:
    """Find the files that go along, without opening them. Raises CheckpointError for a wrong modules.json."""
    modules = read_modules(folder, name)
    paths = {path for path in _candidates(folder, modules) if _belongs(_from(folder, path), modules)}
    return {_from(folder, path): path for path in sorted(paths)}


def fetch_companions(model: HubModel) -> Path | None:
    """Return the local folder of a Hub model with the files that go along, downloaded if not cached."""
    folder = model.cached()
    if folder is not None and _is_complete(folder, model.hub_id):
        return folder
    try:
        listed = model.list_files()
    except Unreachable:
        if folder is None or (folder / MODULES_FILE).exists():
            raise
        warnings.warn(_not_asked(model.hub_id), stacklevel=2)
        return folder
    folder = model.fetch(model.path("config.json")).parents[model.path("config.json").count("/")]
    modules = read_modules(folder, model.hub_id)
    deep = {module.path for module in modules[1:]} - {""}
    belong = (file for file in listed if _belongs(file, modules))
    for file in sorted(belong, key=lambda file: _parent(PurePosixPath(file)) in deep):  # what tells that all is there
        model.fetch(file)
    return folder


def fetch_record(model: HubModel, masked: bool) -> Path | None:
    """Return the local folder of a Hub model, with what our exports say of their making, downloaded if not cached.

    The Hub is asked for it only where the files were listed already, or where the model is `masked`.
    """
    folder = model.cached()
    if folder is not None and (_is_recorded(folder) or not (masked or model.sizes)):
        return folder
    try:
        listed = model.sizes or model.list_files()
    except Unreachable:
        warnings.warn(_record_not_asked(model.hub_id), stacklevel=2)
        return folder
    for file in RECORD if masked or listed.keys() >= set(RECORD) else ():
        if file in listed:
            model.fetch(file)
    return model.cached()


def _is_recorded(folder: Path) -> bool:
    return (folder / RECORD[-1]).exists()


def _record_not_asked(name: str) -> BertpruneWarning:
    return BertpruneWarning(
        "{name}: the Hub cannot be reached to see how the masks were made; they are read without their steps",
        code="checkpoint.record_not_asked", name=name,
    )  # fmt: skip


def _not_asked(name: str) -> BertpruneWarning:
    return BertpruneWarning(
        "{name}: the Hub cannot be reached to see whether more files belong to it, such as a pooling; only cached ones"
        " are used",
        code="checkpoint.companions_not_asked", name=name,
    )  # fmt: skip


def _candidates(folder: Path, modules: tuple[SentenceModule, ...]) -> Iterator[Path]:
    places = {folder, *(folder / module.path for module in modules)}
    for place in places:
        deep = place != folder and place != folder / modules[0].path
        yield from (path for path in place.glob("**/*" if deep else "*") if not path.is_dir())


def _belongs(file: str, modules: tuple[SentenceModule, ...]) -> bool:
    """Return whether a file, named by its path from the folder, goes along."""
    path = PurePosixPath(file)
    inside = modules[0].path if modules else ""
    if modules and file in (MODULES_FILE, SETTINGS_FILE):
        return True
    if _parent(path) == inside:
        return is_tokenizer_file(path.name) or any(path.match(pattern) for pattern in _OF_TRANSFORMER)
    homes = {module.path for module in modules[1:]} - {"", inside}
    if (inside and path.is_relative_to(inside)) or not any(path.is_relative_to(home) for home in homes):
        return False
    return path.name in SINGLE or any(path.match(pattern) for pattern in _OF_MODULE)


def _parent(path: PurePosixPath) -> str:
    return "" if path.parent == PurePosixPath(".") else str(path.parent)


def _from(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _is_complete(folder: Path, name: str) -> bool:
    """Return whether all modules of a cached folder are there; without modules.json that is unknown."""
    modules = read_modules(folder, name)
    if not modules or not has_vocabulary(inner := folder / modules[0].path):
        return False
    others = [module for module in modules[1:] if module.kind not in _WITHOUT_FILES]
    has_settings = (folder / SETTINGS_FILE).exists() or any(inner.glob("sentence_*_config.json"))
    return bool(others or has_settings) and all(_has_files(folder / module.path, module.kind) for module in others)


def _has_files(home: Path, kind: str) -> bool:
    weights = kind == "Pooling" or any((home / single).exists() for single in SINGLE)
    return weights and (home / "config.json").exists()


def _check(folder: Path, file: str, path: Path, name: str) -> None:
    check_regular(path, CheckpointError)
    if not is_within(folder, path):
        raise CheckpointError(
            "{name}: {file} is a link to a file outside the folder: replace it by the file itself",
            code="checkpoint.companion_outside", name=name, file=file,
        )  # fmt: skip
    if path.stat().st_size > LARGEST_SMALL:
        raise CheckpointError(
            "{name}: {file} is larger than {most} MiB, so it cannot be exported",
            code="checkpoint.companion_too_large", name=name, file=file, most=LARGEST_SMALL >> 20,
        )  # fmt: skip
    if path.name in SINGLE:
        file_weights(path)  # refuses code in a torch file


def is_within(folder: Path, path: Path) -> bool:
    """Return whether a file really is in a folder, or in the Hub's cache of the same model, which is made of links."""
    home, real = folder.resolve(), path.resolve()
    homes = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    return any(real.is_relative_to(one) for one in homes)
