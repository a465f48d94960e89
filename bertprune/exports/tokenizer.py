"""The tokenizer of an export whose vocabulary was cut, and the settings that name tokens by their ids."""

import json
import shutil
import tempfile
from pathlib import Path

from ..checkpoint.tokenizer import load_tokenizer
from ..checkpoint.tokenizer_files import tokenizer_files
from ..checkpoint.vocabulary import cut_tokenizer, write_cut
from ..errors import ExportError
from ..model.tokens import moved_ids
from .contents import Contents

_GENERATION = "generation_config.json"


def write_tokenizer(contents: Contents, folder: Path) -> None:
    """Write the cut tokenizer into a transformer's folder, in the place of the checkpoint's files of any format."""
    kept = contents.cut.kept
    if kept is None:
        return
    checkpoint = contents.checkpoint
    for path in tokenizer_files(folder):
        path.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        write_cut(checkpoint.tokenizer(), kept.tolist(), Path(temporary), checkpoint.name)
        for path in tokenizer_files(Path(temporary)):
            shutil.copyfile(path, folder / path.name)
    generation = folder / _GENERATION
    if generation.exists():
        settings = moved_ids(json.loads(generation.read_text(encoding="utf-8")), kept)
        generation.write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def check_tokenizer(contents: Contents, folder: Path) -> None:
    """Compare the tokenizer of a folder with the one that the run was measured with. Raises ExportError."""
    kept = contents.cut.kept
    if kept is None:
        return
    checkpoint = contents.checkpoint
    back = load_tokenizer(folder, checkpoint.name)
    expected = cut_tokenizer(checkpoint.tokenizer(), kept.tolist(), checkpoint.name)
    written = [getattr(one, "backend_tokenizer", None) for one in (back, expected)]
    if None in written or len({one.to_str() for one in written if one is not None}) > 1:
        raise ExportError("the tokenizer differs when read back", code="exports.tokenizer_changed")
