"""The tokenizer that comes with a checkpoint; code that comes with it is never run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from .reading import read_object, reason
from .sources import EMBEDDED, Source, alternatives, embedded_folder, local_path
from .tokenizer_files import has_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OTHER = "another tokenizer can be given: a folder, an id of the Hub, or " + " or ".join(EMBEDDED[:2])


def load_tokenizer(source: Source, other: str | Path | None) -> "PreTrainedTokenizerBase":
    """Load the tokenizer of a source, or of `other`; raises CheckpointError."""
    name, folder = (source.name, source.tokenizer_folder()) if other is None else _elsewhere(other)
    if folder is None or not has_vocabulary(folder):
        raise CheckpointError(f"{name} has no tokenizer; {_OTHER}")
    _refuse_code(folder, name)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise CheckpointError(f"{name}: its tokenizer cannot be read: {reason(error)}; {_OTHER}") from None


def _elsewhere(other: str | Path) -> tuple[str, Path | None]:
    path = embedded_folder(str(other)) if other in EMBEDDED else local_path(other)
    if path is None and other not in EMBEDDED:
        from .hub import HubModel, tokenizer_folder

        hub_id, _, revision = str(other).partition("@")
        return hub_id, tokenizer_folder(HubModel(hub_id, revision or "main"))
    called = str(other) if path is None or other in EMBEDDED else path.name
    if path is not None and not path.is_dir():
        raise CheckpointError(f"{called!r} is no folder with a tokenizer; {alternatives()} can be used")
    return called, path


def _refuse_code(folder: Path, name: str) -> None:
    settings = folder / "tokenizer_config.json"
    given = read_object(settings, f"{name}: tokenizer_config.json") if settings.is_file() else {}
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

    return wanted.isidentifier() and isinstance(getattr(transformers, wanted, None), type)


def _mapped(settings: dict[str, Any]) -> str | None:
    mapped = settings.get("auto_map")
    return str(mapped.get("AutoTokenizer", mapped)) if isinstance(mapped, dict) else None
