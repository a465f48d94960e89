"""The tokenizer that comes with a checkpoint; code that comes with it is never run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, Message, shortened
from ..files import check_regular
from .json_files import first_line, read_object
from .source import find_tokenizer
from .tokenizer_files import has_vocabulary, tokenizer_files

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LARGEST = 24 * 1024 * 1024
"""The largest file of a tokenizer that is read, in bytes; 250,000 pieces, as the largest encoders have, take 17 MB."""
_READ = {"vocab", "merges", "gguf_file", "tokenizer_object"}
"""Settings whose value transformers would read as a file, anywhere on disk."""
_ANOTHER = Message("pass another tokenizer: a folder, a Hub id, demo or demo-mlm", code="checkpoint.another_tokenizer")


def open_tokenizer(given: str | Path, *, local: bool = True) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of a folder (where `local`), a Hub id or an embedded name. Raises CheckpointError."""
    name, folder = find_tokenizer(given, local=local)
    return load_tokenizer(folder, name)


def load_tokenizer(folder: Path | None, name: str) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of a folder; `name` names the checkpoint in errors. Raises CheckpointError."""
    if folder is None or not has_vocabulary(folder):
        raise CheckpointError(
            "{name} has no tokenizer; {another}", code="checkpoint.no_tokenizer", name=name, another=_ANOTHER
        )
    _refuse_large(folder, name)
    _refuse_settings(folder, name)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except BaseException as error:
        if ends_the_process(error):
            raise
        raise CheckpointError(
            "{name}: its tokenizer cannot be read: {reason}; {another}",
            code="checkpoint.tokenizer_unreadable", name=name, reason=first_line(error), another=_ANOTHER,
        ) from None  # fmt: skip


def ends_the_process(error: BaseException) -> bool:
    """Return whether an error must not be caught; a panic in the tokenizers' Rust code may be."""
    return not isinstance(error, Exception) and type(error).__name__ != "PanicException"


def _refuse_large(folder: Path, name: str) -> None:
    for file in tokenizer_files(folder):
        check_regular(file, CheckpointError)
        if file.stat().st_size > LARGEST:
            raise CheckpointError(
                "{name}: its {file} is larger than {most} MiB; {another}",
                code="checkpoint.tokenizer_too_large", name=name, file=file.name, most=LARGEST >> 20, another=_ANOTHER,
            )  # fmt: skip


def _refuse_settings(folder: Path, name: str) -> None:
    """Refuse settings that name a file or code, or that crash transformers; raises CheckpointError."""
    path = folder / "tokenizer_config.json"
    settings = read_object(path, f"{name}: tokenizer_config.json") if path.is_file() else {}
    if named := sorted(key for key in _READ if isinstance(settings.get(key), str)):
        raise CheckpointError(
            "{name}: tokenizer_config.json names a file under {key!r}, which is not accepted",
            code="checkpoint.tokenizer_names_a_file", name=name, key=named[0],
        )  # fmt: skip
    length = settings.get("model_max_length")
    if length is not None and type(length) not in (int, float):
        raise CheckpointError(
            "{name}: tokenizer_config.json sets model_max_length to {given}: expected a number",
            code="checkpoint.tokenizer_max_length", name=name, given=shortened(repr(length)),
        )  # fmt: skip
    wanted = settings.get("tokenizer_class")
    if isinstance(wanted, str) and not _is_known(wanted):
        raise CheckpointError(
            "{name}: its tokenizer {wanted} needs code that comes with the checkpoint, which is never run; {another}",
            code="checkpoint.tokenizer_needs_code", name=name, wanted=shortened(wanted, 80), another=_ANOTHER,
        )  # fmt: skip
    if not isinstance(wanted, str) and (code := _code(folder, settings)):
        raise CheckpointError(
            "{name}: its tokenizer is implemented in {code_file}, which is never run; {another}",
            code="checkpoint.tokenizer_is_code", name=name, code_file=shortened(code, 80), another=_ANOTHER,
        )  # fmt: skip


def _is_known(wanted: str) -> bool:
    import transformers

    if not wanted.isidentifier() or wanted == "AutoTokenizer":  # which would look for itself forever
        return False
    return isinstance(getattr(transformers, wanted, None), type)


def _code(folder: Path, settings: dict[str, Any]) -> str | None:
    """Name the code that the tokenizer needs, or return None."""
    mapped = settings.get("auto_map")
    if isinstance(mapped, dict):
        return str(mapped.get("AutoTokenizer", mapped))
    files = sorted(path.name for path in folder.glob("tokenization*.py"))
    return files[0] if files and not (folder / "tokenizer.json").is_file() else None
