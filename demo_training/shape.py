"""The shape of the demo model."""

from transformers import BertConfig

LABELS = {0: "negative", 1: "positive"}


def demo_config(vocab: int, hidden: int = 192, layers: int = 4, heads: int = 4) -> BertConfig:
    """Build the configuration shared by both demo checkpoints."""
    return BertConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=128,
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.0,
        id2label=LABELS,
        label2id={name: number for number, name in LABELS.items()},
        tie_word_embeddings=True,
    )
