"""Which tokens of a tokenizer may go, and the tokenizer with those that stay.

What stays always: special and added tokens, single characters and bytes, and what these cannot spell, so that every
text can still be read; and, where pieces are merged from others, whatever a piece that stays is merged from. A text
whose tokens all stay is then read as before.
"""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..files import os_error_in
from .tokenizer import load_tokenizer
from .tokenizer_files import is_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SETTINGS = "tokenizer_config.json"
_FILE = "tokenizer.json"
_KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a tokenizer."""

    lengths: Mapping[int, int]
    """How long each token is, by its id."""
    stay: frozenset[int]
    """The ids of those that never go."""
    parts: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """The ids of the pieces that a token may be merged from, directly."""


def read_vocabulary(tokenizer: "PreTrainedTokenizerBase", name: str) -> Vocabulary:
    """Read the tokens of a tokenizer. Raises CheckpointError for one that cannot be cut."""
    spec = _spec(tokenizer, name)
    model = spec["model"]
    listed = model["vocab"]
    ids = {piece: number for number, (piece, _) in enumerate(listed)} if isinstance(listed, list) else dict(listed)
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    stay = {number for piece, number in ids.items() if len(piece) == 1} | set(added.values())
    stay |= set(tokenizer.all_special_ids) | {ids[token] for token in [model.get("unk_token")] if token in ids}
    parts: dict[int, frozenset[int]] = {}
    if model["type"] == "WordPiece":
        stay |= _unspelt(ids, str(model["continuing_subword_prefix"]))
    elif model["type"] == "BPE":
        parts = _merged(model, ids)
        stay |= {number for number in ids.values() if number not in parts}
    elif model["type"] == "Unigram":
        stay |= _needed_by_unigram(listed, model.get("unk_id"))
    lengths = {number: len(piece) for piece, number in {**added, **ids}.items()}
    return Vocabulary(lengths, frozenset(stay), parts)


def _spec(tokenizer: "PreTrainedTokenizerBase", name: str) -> dict[str, Any]:
    """Return the content of tokenizer.json. Raises CheckpointError where there is none, or of another kind."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    spec: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    kind = spec.get("model", {}).get("type", type(tokenizer).__name__)
    if kind not in _KINDS:
        raise CheckpointError(
            "{name}: its tokenizer ({kind}) cannot be cut: that works for fast tokenizers of the kinds {known}",
            code="checkpoint.uncuttable_tokenizer", name=name, kind=kind, known=", ".join(_KINDS),
        )  # fmt: skip
    return spec


def _unspelt(ids: Mapping[str, int], prefix: str) -> set[int]:
    """Return the pieces that single characters could not spell, and the characters within words."""
    stay = set()
    for piece, number in ids.items():
        inner = piece.startswith(prefix)
        body = piece.removeprefix(prefix)
        letters = [(prefix if at or inner else "") + letter for at, letter in enumerate(body)]
        if len(body) <= 1 or not all(letter in ids for letter in letters):
            stay.add(number)
    return stay


def _merged(model: Mapping[str, Any], ids: Mapping[str, int]) -> dict[int, frozenset[int]]:
    """Return what each token may be merged from; tokens that no merge makes are not listed."""
    parts: dict[int, set[int]] = {}
    for one, other in map(_pair, model["merges"]):
        whole = one + other.removeprefix(model.get("continuing_subword_prefix") or "")
        if {one, other, whole} <= ids.keys():
            parts.setdefault(ids[whole], set()).update((ids[one], ids[other]))
    return {number: frozenset(found) for number, found in parts.items()}


def _pair(merge: Any) -> tuple[str, str]:
    one, other = merge.split(" ") if isinstance(merge, str) else merge
    return one, other


def _needed_by_unigram(listed: list[Any], unknown: int | None) -> set[int]:
    """Return the unknown token, bytes, and the least likely piece, by which unknown characters are weighed."""
    stay = {number for number, (piece, _) in enumerate(listed) if piece.startswith("<0x") and len(piece) == 6}
    stay |= {min(range(len(listed)), key=lambda number: listed[number][1])} if listed else set()
    return stay | ({unknown} if unknown is not None else set())


def cut_tokenizer(tokenizer: "PreTrainedTokenizerBase", kept: Iterable[int], name: str) -> "PreTrainedTokenizerBase":
    """Return the tokenizer with these tokens only, numbered anew in their order, as its folder will load it.

    Raises CheckpointError.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="bertprune-") as folder:
            write_cut(tokenizer, kept, Path(folder), name)
            cut = load_tokenizer(Path(folder), name)
    except OSError as error:
        raise CheckpointError(
            "{name}: its tokenizer with fewer tokens cannot be written in {folder}: {reason}",
            code="checkpoint.no_room", name=name, folder=tempfile.gettempdir(),
            reason=os.strerror(error.errno) if error.errno else str(error),
        ) from None  # fmt: skip
    cut.name_or_path = tokenizer.name_or_path
    return cut


def write_cut(tokenizer: "PreTrainedTokenizerBase", kept: Iterable[int], folder: Path, name: str) -> None:
    """Write the files of a tokenizer that has these tokens only; vocabularies in other formats are left out.

    Raises OSError and CheckpointError.
    """
    new = {old: number for number, old in enumerate(kept)}
    spec = _cut(_spec(tokenizer, name), new)
    try:
        tokenizer.save_pretrained(str(folder))
    except Exception as error:  # tokenizers has no class of its own for what the system refuses
        raise os_error_in(error) or error from None
    for path in folder.iterdir():
        if is_vocabulary(path.name):
            path.unlink()
    (folder / _FILE).write_text(json.dumps(spec, ensure_ascii=False, indent=2), encoding="utf-8")
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    if isinstance(added := settings.get("added_tokens_decoder"), dict):
        settings["added_tokens_decoder"] = {str(new[int(number)]): token for number, token in added.items()}
    (folder / SETTINGS).write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _cut(spec: dict[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """Return the content of tokenizer.json with the tokens that have a new id."""
    model = dict(spec["model"])
    if isinstance(model["vocab"], list):
        model["vocab"] = [piece for number, piece in enumerate(model["vocab"]) if number in new]
        model["unk_id"] = None if model.get("unk_id") is None else new[model["unk_id"]]
    else:
        model["vocab"] = {piece: new[number] for piece, number in model["vocab"].items() if number in new}
    if "merges" in model:
        prefix = model.get("continuing_subword_prefix") or ""
        model["merges"] = [
            merge
            for merge in model["merges"]
            if (pair := _pair(merge)) and {*pair, pair[0] + pair[1].removeprefix(prefix)} <= model["vocab"].keys()
        ]
    added = [{**token, "id": new[token["id"]]} for token in spec["added_tokens"]]
    padding = spec.get("padding")
    return {
        **spec,
        "model": model,
        "added_tokens": added,
        "padding": padding and {**padding, "pad_id": new[padding["pad_id"]]},
        "post_processor": _processor(spec.get("post_processor"), new),
    }


def _processor(given: Any, new: Mapping[int, int]) -> Any:
    """Return a post-processor with the new ids of the special tokens that it adds."""
    if not isinstance(given, dict):
        return given
    found = dict(given)
    for key in {"sep", "cls"} & found.keys():  # of BERT's and RoBERTa's
        found[key] = [found[key][0], new[found[key][1]]]
    if isinstance(special := found.get("special_tokens"), dict):
        found["special_tokens"] = {
            token: {**known, "ids": [new[number] for number in known["ids"]]} for token, known in special.items()
        }
    if "processors" in found:
        found["processors"] = [_processor(one, new) for one in found["processors"]]
    return found
