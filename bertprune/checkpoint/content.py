"""What a checkpoint is, for another process and another day: what opens it again, and the hash of its content."""

import hashlib
import json
from pathlib import Path

from .checkpoint import Checkpoint
from .companions import find_companions
from .json_files import unreadable


def address(checkpoint: Checkpoint) -> tuple[str, str | None]:
    """Return what opens it in another process: a name, a whole path or a Hub id, and the revision that was given."""
    return checkpoint._source.given, checkpoint.revision


def content_hash(checkpoint: Checkpoint) -> str:
    """Hash everything that a checkpoint's answers depend on. Raises CheckpointError.

    That is its config, its weights, which are downloaded where they are not here yet, its tokenizer, and the modules
    and settings beside them; neither its name nor its place.
    """
    source = checkpoint._source
    source.weights.fetch()
    folder = checkpoint.folder()
    files = {path.name: path for path in source.weights.paths}
    files |= find_companions(folder, checkpoint.name) if folder is not None else {}
    hashes = {name: _hash_of(path) for name, path in files.items()}
    plain = json.dumps([source.config, source.seed, hashes], sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path.name, error) from None
