"""Tiny models of every family whose roles are known, and of some that are not."""

from typing import Any

import torch
import transformers

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 97,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False}
T5 = {"d_model": 32, "num_layers": 2, "num_heads": 4, "d_kv": 8, "d_ff": 48, "vocab_size": 97}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "vocab_size": 97, "max_position_embeddings": 40}
BUCKETS = {"position_buckets": 8, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0}
KNOWN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("BertForSequenceClassification", "BertConfig", SMALL),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", SMALL),
    "xlm-r": ("XLMRobertaForTokenClassification", "XLMRobertaConfig", SMALL),
    "camembert": ("CamembertModel", "CamembertConfig", SMALL),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", DISTIL),
    "electra": ("ElectraForMaskedLM", "ElectraConfig", SMALL | {"embedding_size": 16}),
    "albert": ("AlbertForMaskedLM", "AlbertConfig", SMALL | {"embedding_size": 16, "num_hidden_layers": 3}),
    "albert-groups": ("AlbertModel", "AlbertConfig", SMALL | {"num_hidden_layers": 5, "num_hidden_groups": 2}),
    "mpnet": ("MPNetForMaskedLM", "MPNetConfig", SMALL),
    "deberta": ("DebertaModel", "DebertaConfig", SMALL | RELATIVE),
    "deberta-mlm": ("DebertaForMaskedLM", "DebertaConfig", SMALL | RELATIVE | {"legacy": False}),
    "deberta-v2": (
        "DebertaV2ForSequenceClassification",
        "DebertaV2Config",
        SMALL | RELATIVE | {"share_att_key": False},
    ),
    "deberta-v3": ("DebertaV2Model", "DebertaV2Config", SMALL | RELATIVE | BUCKETS | {"share_att_key": True}),
    "modernbert": ("ModernBertForMaskedLM", "ModernBertConfig", SMALL | {"local_attention": 8}),
    "nomicbert": ("NomicBertModel", "NomicBertConfig", SMALL),
    "eurobert": ("EuroBertForMaskedLM", "EuroBertConfig", SMALL | {"num_key_value_heads": 2}),
    "roformer": ("RoFormerForMaskedLM", "RoFormerConfig", SMALL | {"embedding_size": 32}),
    "t5": ("T5EncoderModel", "T5Config", T5),
    "t5-gated": ("T5EncoderModel", "T5Config", T5 | {"feed_forward_proj": "gated-gelu"}),
}
OWN_LAYERS = [name for name in KNOWN if name not in ("roberta", "xlm-r", "camembert", "electra", "deberta-mlm")]
"""Those whose layers are code of their own; the others have BERT's or DeBERTa's."""
INPUT = torch.tensor([[2, 7, 11, 13, 3, 9], [2, 5, 3, 8, 4, 6]])


def build(model_cls: str, config_cls: str, values: dict[str, Any]) -> Any:
    """Build a seeded model; the global random state does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = getattr(transformers, config_cls)(**values)
        return getattr(transformers, model_cls)(config).eval()


def outputs(model: Any) -> torch.Tensor:
    """Return what a model gives for two short texts."""
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=INPUT)[0]
    return found
