"""Train the demo's WordPiece tokenizer."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LARGEST_ALPHABET = 2500
LONGEST_REPEAT = {"ㅋ": 3, "ㅎ": 2, "ㅠ": 2, "ㅜ": 2, "!": 2, "?": 2, "~": 2, "^": 2, ".": 3, ";": 2, "♥": 2}


def shorten(char: str, longest: int) -> normalizers.Normalizer:
    """Shorten repetitions of `char` to `longest`, so that laughter of any length gives the same few tokens."""
    return normalizers.Replace(Regex(rf"\x{{{ord(char):x}}}{{{longest + 1},}}"), char * longest)


def normalizer() -> normalizers.Normalizer:
    """Build BERT's normaliser for Korean: NFC, and no accent stripping, which would decompose Hangul."""
    bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True)
    runs = [shorten(char, longest) for char, longest in LONGEST_REPEAT.items()]
    return normalizers.Sequence([normalizers.NFC(), bert, *runs])


def untrained(vocabulary: dict[str, int] | None = None) -> Tokenizer:
    """Build the tokenizer's pipeline around a vocabulary, or an empty one."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=150))
    tokenizer.normalizer = normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Count the words that the tokenizer sees in texts."""
    shape = untrained()
    cleaned = map(shape.normalizer.normalize_str, texts)
    return Counter(word for text in cleaned for word, _ in shape.pre_tokenizer.pre_tokenize_str(text))


def alphabet(words: Counter[str]) -> list[str]:
    """List the most frequent characters; of equally frequent ones the first by code point."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for char in word:
            counts[char] += count
    return sorted(sorted(counts, key=lambda char: (-counts[char], char))[:LARGEST_ALPHABET])


def learn_vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """Learn a WordPiece vocabulary of at most `size` entries; the same texts give the same vocabulary."""
    words = count_words(texts)
    chars = alphabet(words)
    # The trainer would number these in a different order each time, and it breaks ties by these numbers.
    inner = sorted({f"##{char}" for word in words for char in word[1:]} & {f"##{char}" for char in chars})
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        initial_alphabet=chars,
        limit_alphabet=len(chars),
        special_tokens=SPECIAL + inner,
        show_progress=False,
    )
    learner = untrained()
    learner.train_from_iterator(texts, trainer)
    return learner.get_vocab()


def train_tokenizer(texts: Iterable[str], vocab: int) -> Tokenizer:
    """Train a WordPiece tokenizer of at most `vocab` entries that adds `[CLS]` and `[SEP]`."""
    tokenizer = untrained(learn_vocabulary(list(texts), vocab))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer
