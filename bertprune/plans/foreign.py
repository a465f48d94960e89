"""Whether a checkpoint's tokenizer knows the language of texts."""

import warnings
from collections import Counter

from transformers import PreTrainedTokenizerBase

from ..checkpoint import Checkpoint
from ..data.held_back import Batches
from ..errors import ForeignTextsWarning
from ..forecast import FOREIGN

_INSIDE = "##"
_STARTS = ("▁", "Ġ")


def warn_of_foreign(checkpoint: Checkpoint, batches: Batches) -> float:
    """Warn where the tokenizer reads texts as unknown tokens and single letters; return the share of these."""
    share = spelled(checkpoint.tokenizer(), batches)
    if share > FOREIGN:
        sentence = (
            "the tokenizer of {name} reads {share:.0%} of these texts' tokens as unknown, or as single letters within"
            " words: how far answers drift on texts of another language says little"
        )
        warning = ForeignTextsWarning(sentence, code="calibration.foreign_texts", name=checkpoint.name, share=share)
        warnings.warn(warning, stacklevel=4)
    return share


def spelled(tokenizer: PreTrainedTokenizerBase, batches: Batches) -> float:
    """Return the share of tokens that are unknown, or one letter within a word; special ones do not count."""
    counts = Counter(number for batch in batches.used for number in batch["input_ids"].flatten().tolist())
    for special in {*tokenizer.all_special_ids} - {tokenizer.unk_token_id}:
        counts.pop(special, None)
    pieces = dict(zip(counts, tokenizer.convert_ids_to_tokens(list(counts)), strict=True))
    by_word = any(piece.startswith(_INSIDE) for piece in tokenizer.get_vocab())
    found = sum(
        count
        for number, count in counts.items()
        if number == tokenizer.unk_token_id or _is_letter_inside(pieces[number], by_word)
    )
    return found / max(1, counts.total())


def _is_letter_inside(piece: str, by_word: bool) -> bool:
    if by_word:
        return piece.startswith(_INSIDE) and len(piece) == len(_INSIDE) + 1
    return len(piece) == 1 and piece not in _STARTS
