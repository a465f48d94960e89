"""Which files of a folder or of a Hub model are its tokenizer."""

from pathlib import Path

from .hub import HubModel

_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "*.model")
_SETTINGS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.*",
    "bpe.codes",  # PhoBERT
    "entity_vocab.json",  # LUKE
    "word_shape.json",  # RoCBert, with the next
    "word_pronunciation.json",
)


def tokenizer_files(folder: Path | None) -> tuple[Path, ...]:
    """Return the tokenizer's files in a folder, sorted by name; code is never one of them."""
    if folder is None:
        return ()
    return tuple(sorted(path for path in folder.iterdir() if is_tokenizer_file(path.name) and not path.is_dir()))


def is_tokenizer_file(name: str) -> bool:
    """Return whether a file is part of a tokenizer by its name; code is never one."""
    known = any(Path(name).match(pattern) for pattern in (*_VOCABULARIES, *_SETTINGS))
    return known and not name.endswith(".py")


def is_vocabulary(name: str) -> bool:
    """Return whether a file holds the tokens of a tokenizer by its name, or numbers some of them."""
    return any(Path(name).match(pattern) for pattern in (*_VOCABULARIES, "added_tokens.json", "bpe.codes"))


def fetch_tokenizer(model: HubModel) -> Path | None:
    """Return the local folder with a Hub model's tokenizer, downloaded if not cached; raises CheckpointError."""
    folder = model.cached()
    inner = None if folder is None else folder / model.subfolder()
    if inner is not None and has_vocabulary(inner):
        return inner
    for name in filter(is_tokenizer_file, model.transformer_files()):
        inner = model.fetch(model.path(name)).parent
    return inner


def has_vocabulary(folder: Path) -> bool:
    """Return whether a folder holds a tokenizer, and not only its settings."""
    return any(path.exists() and not path.is_dir() for pattern in _VOCABULARIES for path in folder.glob(pattern))
