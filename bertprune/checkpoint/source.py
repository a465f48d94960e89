"""What a checkpoint's name means: an embedded checkpoint, a local folder or file, or a model of the Hub."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, Message, Note, kind_of, shortened, shown
from ..files import check_regular, from_home
from .companions import RECORD, fetch_companions, fetch_record, find_companions
from .hub import HubModel
from .json_files import folder_config
from .pruned_weights import find_pruned
from .remote_weights import hub_config_and_weights
from .sentence_modules import is_sentence_folder, no_transformer, transformer_path
from .signature import Signature, signature, signatures
from .tokenizer_files import fetch_tokenizer
from .weight_files import MASKED_FILE, SINGLE, file_weights, folder_weights, refuse_larger, refuse_single_shard
from .weights import NoWeights, Weights

EMBEDDED = ("demo", "demo-mlm", "kobert-shape")
"""The names of the checkpoints that come with the package."""

DEMO = Path(__file__).parent.parent / "demo"
"""The folder of the embedded checkpoints that are stored: one folder each."""
_FOLDERS = {"demo": "sentiment", "demo-mlm": "mlm"}
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
    """Say where a checkpoint's parts are; only its config and headers have been read."""

    name: str
    config: dict[str, Any]
    weights: Weights
    tokenizer_folder: Callable[[], Path | None]
    """Finds the local folder with the tokenizer's files; may download them."""
    home: Callable[[], Path | None] | None = None
    """Finds the local folder of everything that goes along with an export, where it is another; may download it."""
    hub_id: str | None = None
    revision: str | None = None
    seed: int | None = None
    """A fixed seed, for a checkpoint that is random by design."""
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    """The local folder that was opened, or that holds the file; the cached one of a Hub model."""
    subfolder: str = ""
    """Where in the whole its transformer is; empty for the whole itself."""
    seen: Mapping[Path, Signature] = field(default_factory=dict)
    """What the local files were when they were opened."""
    given: str = ""
    """What opens it again, in another process too: a name, a whole path or a Hub id."""

    def check_unchanged(self) -> None:
        """Refuse files that have changed, or been added, since the checkpoint was opened; raises CheckpointError."""
        for path, known in self.seen.items():
            if signature(path) != known:
                raise CheckpointError(
                    "{file} has changed since {name} was opened; open it again",
                    code="checkpoint.source_changed", file=path.name, name=self.name,
                )  # fmt: skip
        for file, path in find_companions(self.folder, self.name).items() if self.seen and self.folder else ():
            if path not in self.seen:
                raise CheckpointError(
                    "{file} was added since {name} was opened; open it again",
                    code="checkpoint.source_added", file=file, name=self.name,
                )  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle find it again, where its files are still the same."""
        return _found_again, (self.given, self.revision, dict(self.seen))


def _found_again(given: str, revision: str | None, seen: Mapping[Path, Signature]) -> Source:
    """Find what another process had found. Raises CheckpointError, also where it has changed since."""
    source = replace(find_source(given, revision), seen=seen)
    source.check_unchanged()
    return source


def default() -> str:
    """Return the name of the checkpoint to begin with: demo, or kobert-shape where that is not installed."""
    return "demo" if _is_installed("demo") else "kobert-shape"


def find_source(given: str | Path, revision: str | None, *, local: bool = True, largest: int | None = None) -> Source:
    """Find what `given` names and read its config and headers; raises CheckpointError if nothing has that name."""
    if not isinstance(given, str | Path):
        raise CheckpointError(
            "{kind} does not name a checkpoint: expected a name, a path or a Hub id; bp.apply(model, recipe) prunes"
            " a model in memory, run.checkpoint is the checkpoint of a run",
            code="checkpoint.wrong_type", kind=kind_of(given),
        )  # fmt: skip
    if isinstance(given, str) and (not given.strip() or "\0" in given):
        raise CheckpointError(
            "{given!r} is not the name of a checkpoint; choose {known}",
            code="checkpoint.not_a_name", given=shortened(given), known=_known(local),
        )  # fmt: skip
    path = _path_of(given, local)
    if path is None and given not in EMBEDDED:
        return replace(_hub_source(str(given), revision, local, largest), given=str(given))
    if revision is not None:
        raise CheckpointError(
            "a revision ({revision}) is for Hub ids, and {name!r} is not one",
            code="checkpoint.revision_of_no_hub_id", revision=shown(revision), name=_last(given),
        )  # fmt: skip
    if given == "kobert-shape":
        return _random_source(given)
    given = str(given) if path is None else str(path.absolute())
    source = _path_source(_embedded_folder(given), given) if path is None else _path_source(Path(given))
    refuse_larger(source.name, source.weights.bytes, largest)
    return replace(source, given=given)


def find_tokenizer(given: str | Path, *, local: bool = True) -> tuple[str, Path | None]:
    """Find the name and folder of a tokenizer that is named by itself; raises CheckpointError."""
    if not isinstance(given, str | Path):
        raise CheckpointError(
            "a tokenizer is given as a folder, a Hub id or an embedded name, not {kind}",
            code="checkpoint.tokenizer_wrong_type", kind=kind_of(given),
        )  # fmt: skip
    if given in EMBEDDED:
        return str(given), DEMO / _FOLDERS[str(given)] if given in _FOLDERS else None
    path = _path_of(given, local)
    if path is None:
        hub_id, _, revision = str(given).partition("@")
        return hub_id, fetch_tokenizer(HubModel(hub_id, revision or "main", _known(local)))
    if not _is_folder(path):
        raise CheckpointError(
            "{name!r} is not a folder with a tokenizer; choose {known}",
            code="checkpoint.no_tokenizer_folder", name=_last(path), known=_known(local),
        )  # fmt: skip
    return path.name, path


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no folder can have
        return False


def _random_source(name: str) -> Source:
    note = Note(
        "The configuration of monologg/kobert with random weights from a fixed seed; nothing in it was trained.",
        code="note.kobert_shape",
    )
    return Source(name, dict(_KOBERT), NoWeights(), lambda: None, seed=KOBERT_SEED, notes=(note,), given=name)


def _embedded_folder(name: str) -> Path:
    if not _is_installed(name):
        raise CheckpointError(
            "{name!r} is not part of this installation; choose {known}",
            code="checkpoint.not_installed", name=name, known=_known(),
        )  # fmt: skip
    return DEMO / _FOLDERS[name]


def _path_source(path: Path, name: str | None = None) -> Source:
    """Read the config and headers of a local folder or weight file; raises CheckpointError."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):
        is_folder = is_file = False
    if not is_folder and not is_file:
        check_regular(path, CheckpointError)
        raise CheckpointError(
            "{name!r} does not exist; choose {known}",
            code="checkpoint.not_found", name=_last(path), known=_known(),
        )  # fmt: skip
    folder = path if is_folder else path.parent
    name = name or _last(folder if path.name in (*SINGLE, MASKED_FILE) else path)
    if is_file:
        refuse_single_shard(path)
    inside = transformer_path(path, name) if is_folder else ""
    inner = folder / inside
    if is_folder and is_sentence_folder(folder) and not (inner / "config.json").exists():
        raise no_transformer(folder, name)
    weights = folder_weights(inner, name) if is_folder else file_weights(path)
    config = folder_config(inner, name)
    files = (*weights.paths, inner / "config.json", *find_companions(folder, name).values())
    return Source(
        name, config, weights, lambda: inner, home=lambda: folder, notes=_export_notes(folder, weights), folder=folder,
        subfolder=inside, seen=signatures(files),
    )  # fmt: skip


def _hub_source(given: str, revision: str | None, local: bool, largest: int | None) -> Source:
    hub_id, _, inside = given.partition("@")
    if revision and inside and revision != inside:
        raise CheckpointError(
            "{given!r} and revision={revision!r} both name a revision; give it once",
            code="checkpoint.two_revisions", given=shortened(given), revision=shortened(revision),
        )  # fmt: skip
    wanted = revision or inside or None
    model = HubModel(hub_id, wanted or "main", _known(local))
    config, weights = hub_config_and_weights(model, largest)
    refuse_larger(hub_id, weights.bytes, largest)
    folder = fetch_record(model, MASKED_FILE in weights.files)
    return Source(
        hub_id, config, weights, lambda: fetch_tokenizer(model), home=lambda: fetch_companions(model),
        hub_id=hub_id, revision=wanted, notes=_export_notes(folder, weights), folder=folder,
        subfolder=model.subfolder(),
    )  # fmt: skip


def _path_of(given: str | Path, local: bool) -> Path | None:
    """Return the path that `given` means, or None for embedded names and Hub ids; raises CheckpointError.

    Where no path is accepted (`local=False`), whatever could be one is refused without looking at the disk.
    """
    if given in EMBEDDED:
        return None
    if not local:
        if isinstance(given, str) and not _looks_like_path(given) and _HUB_ID.fullmatch(given):
            return None
        raise CheckpointError(
            "{name!r} is not a Hub id (org/name), and paths are not accepted here; choose {known}",
            code="checkpoint.paths_not_accepted", name=_last(given), known=_known(local),
        )  # fmt: skip
    path = from_home(given, CheckpointError)
    try:
        is_path = isinstance(given, Path) or _looks_like_path(given) or path.exists()
    except OSError:
        is_path = True
    return path if is_path else None


_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")


def _looks_like_path(given: str) -> bool:
    return (
        given.startswith((".", "/", "~"))
        or given.endswith("/")
        or "\\" in given
        or given.count("/") > 1
        or re.match(r"[A-Za-z]:", given) is not None
        or given.lower().endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".zip"))
    )


def _known(local: bool = True) -> Message:
    """List what can be opened without a network, for errors; without paths where none is accepted."""
    names = ", ".join(name for name in EMBEDDED if _is_installed(name))
    if local:
        return Message(
            "{names}, a local folder, a .safetensors file, or the id of a cached Hub model",
            code="checkpoint.known", names=names,
        )  # fmt: skip
    return Message("{names}, or the id of a cached Hub model", code="checkpoint.known_names", names=names)


def _is_installed(name: str) -> bool:
    return name not in _FOLDERS or (DEMO / _FOLDERS[name] / "config.json").is_file()


def _export_notes(folder: Path | None, weights: Weights) -> tuple[str, ...]:
    is_export = folder is not None and all((folder / file).is_file() for file in RECORD)
    if is_export and find_pruned(weights) is None:
        return (
            Note(
                "An export without masks: pruned weights were taken out, or are zero and cannot be distinguished from"
                " other zeros.",
                code="note.baked",
            ),
        )
    return ()


def _last(path: str | Path) -> str:
    name = Path(path).name or Path(path).resolve().name or "folder"
    return shortened(name, 100)
