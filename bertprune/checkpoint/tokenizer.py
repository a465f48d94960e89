"""The tokenizer that comes with a checkpoint; code that comes with it is never run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, shortened
from .reading import read_object, reason
from .source import EMBEDDED, Source, allowed_path, alternatives, embedded_folder
from .tokenizer_files import has_vocabulary, tokenizer_files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OTHER = "another tokenizer can be given: a folder, an id of the Hub, or " + " or ".join(EMBEDDED[:2])

LARGEST = 24 * 1024 * 1024
"""The largest file of a tokenizer that is read, in bytes; 250,000 pieces, as the largest encoders have, take 17 MB."""
_READ = {"vocab", "merges", "gguf_file", "tokenizer_object"}
"""Settings that transformers would take for a file to read, wherever it lies."""


def load_tokenizer(source: Source, other: str | Path | None, *, local: bool = True) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of a source, or of `other`; raises CheckpointError."""
    name, folder = (source.name, source.tokenizer_folder()) if other is None else _elsewhere(other, local)
    if folder is None or not has_vocabulary(folder):
        raise CheckpointError(f"{name} has no tokenizer; {_OTHER}")
    _refuse_large(folder, name)
    _refuse_settings(folder, name)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except BaseException as error:
        if ends_the_process(error):
            raise
        raise CheckpointError(f"{name}: its tokenizer cannot be read: {reason(error)}; {_OTHER}") from None


def ends_the_process(error: BaseException) -> bool:
    """Tell whether an error must not be caught; a panic of the tokenizers' Rust may be, though it is no Exception."""
    return not isinstance(error, Exception) and type(error).__name__ != "PanicException"


def _elsewhere(other: str | Path, local: bool) -> tuple[str, Path | None]:
    path = embedded_folder(str(other)) if other in EMBEDDED else allowed_path(other, local)
    if path is None and other not in EMBEDDED:
        from .hub import HubModel, tokenizer_folder

        hub_id, _, revision = str(other).partition("@")
        return hub_id, tokenizer_folder(HubModel(hub_id, revision or "main", local))
    called = str(other) if path is None or other in EMBEDDED else path.name
    if path is not None and not path.is_dir():
        raise CheckpointError(f"{called!r} is no folder with a tokenizer; {alternatives()} can be used")
    return called, path


def _refuse_large(folder: Path, name: str) -> None:
    for file in tokenizer_files(folder):
        if file.stat().st_size > LARGEST:
            raise CheckpointError(f"{name}: its {file.name} is larger than {LARGEST >> 20} MiB; {_OTHER}")


def _refuse_settings(folder: Path, name: str) -> None:
    settings = folder / "tokenizer_config.json"
    given = read_object(settings, f"{name}: tokenizer_config.json") if settings.is_file() else {}
    if foreign := sorted(key for key in _READ if isinstance(given.get(key), str)):
        raise CheckpointError(f"{name}: tokenizer_config.json names a file under {foreign[0]!r}, which is not taken")
    length = given.get("model_max_length")
    if length is not None and type(length) not in (int, float):
        raise CheckpointError(
            f"{name}: tokenizer_config.json gives model_max_length as {shortened(repr(length))}; a number is expected"
        )
    wanted = given.get("tokenizer_class")
    if isinstance(wanted, str) and not _known(wanted):
        raise CheckpointError(
            f"{name}: its tokenizer {wanted[:80]} needs code that comes with the checkpoint,"
            f" which is never run; {_OTHER}"
        )
    code = sorted(path.name for path in folder.glob("tokenization*.py"))
    if not isinstance(wanted, str) and (_mapped(given) or (code and not (folder / "tokenizer.json").is_file())):
        called = _mapped(given) or code[0]
        raise CheckpointError(f"{name}: its tokenizer is code ({called[:80]}), which is never run; {_OTHER}")


def _known(wanted: str) -> bool:
    import transformers

    if not wanted.isidentifier() or wanted == "AutoTokenizer":  # which would look for itself for ever
        return False
    return isinstance(getattr(transformers, wanted, None), type)


def _mapped(settings: dict[str, Any]) -> str | None:
    mapped = settings.get("auto_map")
    return str(mapped.get("AutoTokenizer", mapped)) if isinstance(mapped, dict) else None
