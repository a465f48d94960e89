"""What a source's name means: an embedded checkpoint, a local folder or file, or a model of the Hub."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, TooLargeError, shortened
from .folder import SINGLE, file_weights, folder_weights, refuse_single_shard
from .reading import read_object
from .weights import NoWeights, Weights

EMBEDDED = ("demo", "demo-mlm", "kobert-shape")
"""The names of the checkpoints that come with the package."""

_DEMO = Path(__file__).parent.parent / "demo"
_FOLDERS = {"demo": _DEMO / "sentiment", "demo-mlm": _DEMO / "mlm"}
KOBERT_SEED = 8002
_KOBERT = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": 8002,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "pad_token_id": 1,
}


@dataclass(frozen=True)
class Source:
    """Say where a checkpoint's parts are; nothing of it is read but the config and the headers."""

    name: str
    config: dict[str, Any]
    weights: Weights
    tokenizer_folder: Callable[[], Path | None]
    """Finds the local folder with the tokenizer's files; may fetch them."""
    hub_id: str | None = None
    revision: str | None = None
    seed: int | None = None
    """A fixed seed, for a checkpoint that is random by design."""
    notes: tuple[str, ...] = ()


def default() -> str:
    """Return the name of the checkpoint to begin with: the trained demo, or its stand-in where it is not there."""
    return "demo" if (_FOLDERS["demo"] / "config.json").is_file() else "kobert-shape"


def resolve(given: str | Path, revision: str | None, *, local: bool = True, largest: int | None = None) -> Source:
    """Find what `given` names; raises CheckpointError where it names nothing, or what may not be named."""
    if isinstance(given, str) and (not given.strip() or "\0" in given):
        raise CheckpointError(f"{given!r} names no checkpoint; {alternatives()} can be used")
    path = allowed_path(given, local)
    if path is None and given not in EMBEDDED:
        from .hub import hub_source

        return hub_source(str(given), revision, largest, local)
    if revision is not None:
        raise CheckpointError(f"a revision ({revision!r}) is for ids of the Hub; {_last(given)!r} is none")
    source = path_source(path) if path is not None else _embedded(str(given))
    refuse_larger(source.name, source.weights.bytes, largest)
    return source


def refuse_larger(name: str, size: int, largest: int | None) -> None:
    """Refuse weight files that the caller does not want; raises TooLargeError."""
    if largest is not None and size > largest:
        raise TooLargeError(
            "{name} holds {size:,} bytes of weights; at most {most:,} are accepted",
            code="checkpoint.too_large", name=name, size=size, most=largest,
        )  # fmt: skip


def allowed_path(given: str | Path, local: bool) -> Path | None:
    """Return the path that `given` means; where none is allowed, raise CheckpointError for all that could be one."""
    if local or given in EMBEDDED:
        return local_path(given)
    if isinstance(given, Path) or _looks_like_path(given) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", given):
        raise CheckpointError(
            f"{_last(given)!r} is no id of the Hub (org/name), and paths are not taken here;"
            f" {alternatives(local)} can be used"
        )
    return None


def local_path(given: str | Path) -> Path | None:
    """Return the path that `given` means, or None for embedded names and ids of the Hub."""
    if given in EMBEDDED:
        return None
    path = Path(given).expanduser() if str(given).startswith("~") else Path(given)
    try:
        meant = isinstance(given, Path) or _looks_like_path(given) or path.exists()
    except OSError:
        meant = True
    return path if meant else None


def path_source(path: Path, name: str | None = None) -> Source:
    """Read the config and headers of a local folder or weight file; raises CheckpointError."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False
    if not is_folder and not is_file:
        raise CheckpointError(f"{_last(path)!r} does not exist here; {alternatives()} can be used")
    folder = path if is_folder else path.parent
    called = name or _last(folder if path.name in SINGLE else path)
    if is_folder:
        weights = folder_weights(path, called)
    else:
        refuse_single_shard(path)
        weights = file_weights(path)
    return Source(called, folder_config(folder, called), weights, lambda: folder, notes=_export_notes(folder))


def folder_config(folder: Path, name: str) -> dict[str, Any]:
    """Read config.json of a folder; raises CheckpointError."""
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{name}: no config.json lies beside the weights; it says which class to build")
    return read_object(folder / "config.json", f"{name}: config.json")


def alternatives(local: bool = True) -> str:
    """List what can be opened without a network, for error messages; without paths where none is taken."""
    there = [name for name in EMBEDDED if name not in _FOLDERS or (_FOLDERS[name] / "config.json").is_file()]
    paths = ", a local folder, a .safetensors file" if local else ""
    return f"{', '.join(there)}{paths}, or an id of the Hub that is cached here"


def embedded_folder(name: str) -> Path | None:
    """Return the folder of an embedded checkpoint, or None for one that is built on demand."""
    return _FOLDERS.get(name)


def _embedded(name: str) -> Source:
    if name == "kobert-shape":
        note = "The configuration of monologg/kobert with random weights from a fixed seed; nothing in it was trained."
        return Source(name, dict(_KOBERT), NoWeights(), lambda: None, seed=KOBERT_SEED, notes=(note,))
    if not (_FOLDERS[name] / "config.json").is_file():
        raise CheckpointError(f"{name!r} is not part of this installation; {alternatives()} can be used")
    return path_source(_FOLDERS[name], name)


def _export_notes(folder: Path) -> tuple[str, ...]:
    if (folder / "recipe.yaml").is_file() and (folder / "report.json").is_file():
        return ("A baked export: what was pruned is zero here, and cannot be told from other zeros.",)
    return ()


def _looks_like_path(given: str) -> bool:
    return (
        given.startswith((".", "/", "~"))
        or given.endswith("/")
        or "\\" in given
        or given.count("/") > 1
        or re.match(r"[A-Za-z]:", given) is not None
        or given.lower().endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".zip"))
    )


def _last(path: str | Path) -> str:
    name = Path(path).name or Path(path).resolve().name or "folder"
    return shortened(name, 100)
