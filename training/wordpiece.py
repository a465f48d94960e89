"""Train the demo's WordPiece tokenizer."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LONGEST_REPEAT = {"ㅋ": 3, "ㅎ": 2, "ㅠ": 2, "ㅜ": 2, "!": 2, "?": 2, "~": 2, "^": 2, ".": 3, ";": 2, "♥": 2}


def shorten(char: str, longest: int) -> normalizers.Normalizer:
    """Cut runs of `char` to `longest`: laughter of any length is then the same few tokens."""
    return normalizers.Replace(Regex(rf"\x{{{ord(char):x}}}{{{longest + 1},}}"), char * longest)


def normalizer() -> normalizers.Normalizer:
    """Build BERT's normaliser for Korean: NFC, and no accent stripping, which would take Hangul apart."""
    bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True)
    runs = [shorten(char, longest) for char, longest in LONGEST_REPEAT.items()]
    return normalizers.Sequence([normalizers.NFC(), bert, *runs])


def untrained() -> Tokenizer:
    """Build the tokenizer's pipeline with an empty vocabulary."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=150))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """Train a WordPiece vocabulary of at most `vocab` entries and frame texts by `[CLS]` and `[SEP]`."""
    tokenizer = untrained()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab, limit_alphabet=2500, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer
