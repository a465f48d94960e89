"""Which files make a tokenizer; code is never one of them."""

from pathlib import Path

VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "*.model")
SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.*")


def tokenizer_files(folder: Path | None) -> tuple[Path, ...]:
    """Return the tokenizer's files in a folder, sorted by name."""
    if folder is None:
        return ()
    found = {path for pattern in (*VOCABULARIES, *SETTINGS) for path in folder.glob(pattern)}
    return tuple(sorted(path for path in found if path.is_file() and path.suffix != ".py"))


def has_vocabulary(folder: Path) -> bool:
    """Tell whether a folder holds a tokenizer, and not only its settings."""
    return any(path.is_file() for pattern in VOCABULARIES for path in folder.glob(pattern))
