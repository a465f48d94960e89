"""Tokenizers of each kind, trained once on a few texts in several scripts; do not change them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tests.calibration_texts import TEXTS

CORPUS = [
    *TEXTS,
    "the quick brown fox jumps over the lazy dog",
    "naïve cafés, 영화가 정말 재미있다! 배우들의 연기도 좋았다",
    "a film about nothing at all; awfully, wonderfully boring",
    "unbelievable performances and unforgettable music 2024",
]
SPECIAL = {
    "WordPiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "other": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
}


@cache
def wordpiece() -> Any:
    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer, raw.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    raw.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL["WordPiece"]))
    raw.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL["WordPiece"], strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **{f"{k}_token": v for k, v in names.items()})


@cache
def byte_level() -> Any:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=450, special_tokens=SPECIAL["other"], initial_alphabet=alphabet)
    )
    raw.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **other_tokens())


@cache
def unigram() -> Any:
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    raw.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=200, special_tokens=SPECIAL["other"], unk_token="<unk>")
    )
    raw.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **other_tokens())


def other_tokens() -> dict[str, str]:
    keys = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    return {**dict(zip(keys, SPECIAL["other"], strict=True)), "cls_token": "<s>", "sep_token": "</s>"}


KINDS: dict[str, tuple[Callable[[], Any], str]] = {
    "WordPiece": (wordpiece, "BertForMaskedLM"),
    "BPE": (byte_level, "RobertaForMaskedLM"),
    "Unigram": (unigram, "XLMRobertaForMaskedLM"),
    "classifier": (wordpiece, "BertForSequenceClassification"),
}
