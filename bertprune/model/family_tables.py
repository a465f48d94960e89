"""What the modules of each model family are for: one table a family, in plain module names.

In `layers`, `{}` stands for a number. A role may stand on several modules of a layer: both inputs of a gated
feed-forward part are `ffn.intermediate`, and projections of relative positions count with the projection they serve.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

IRREGULAR = "bertprune-"
"""What the `model_type` of a model begins with whose layers have unequal shapes; the family's own type follows."""


@dataclass(frozen=True)
class Fused:
    """The roles of a matrix that holds several projections, one below the other in its rows."""

    roles: tuple[str, ...]
    by_head: bool = False
    """Whether each attention head has its own rows of every projection, instead of one projection after another."""


@dataclass(frozen=True)
class Family:
    """The table of one family."""

    title: str
    """What messages call it."""
    name: str
    types: tuple[str, ...]
    """The `model_type` of transformers' configs."""
    layers: str
    """The path of a layer in the base model."""
    in_layer: Mapping[str, str | Fused]
    """Roles by path within a layer."""
    outside: Mapping[str, str]
    """Roles by path within the base model, outside the layers."""
    shared_by: tuple[str, str] | None = None
    """Where layers share their weights: the config's keys for how many layers there are, and how many groups."""
    width: str = "intermediate_size"
    """The config's key for how many neurons a layer has."""
    head_size: str | None = None
    """The config's key for the width of a head, where that need not be the hidden size by the number of heads."""
    biases: Mapping[str, str] = field(default_factory=dict)
    """Roles by path within a layer of vectors that are added to a projection, and are no bias of its module."""
    shared_bias: bool = False
    """Whether a bias of positions, by head, is worked out once and added in all layers."""
    mixed_by: str | None = None
    """The path within a layer of a module that works on all heads at once, so that none can be taken out."""
    first_differs: bool = False
    """Whether the first layer is built otherwise than the others, so that none of these can take its place."""


_QKV = ("attention.query", "attention.key", "attention.value")
_EMBEDDINGS = {
    "embeddings.word_embeddings": "embeddings.word",
    "embeddings.position_embeddings": "embeddings.position",
    "embeddings.token_type_embeddings": "embeddings.token_type",
}
_FEED_FORWARD = {"intermediate.dense": "ffn.intermediate", "output.dense": "ffn.output"}
_BERT_ATTENTION = {
    "self.query": "attention.query",
    "self.key": "attention.key",
    "self.value": "attention.value",
    "output.dense": "attention.output",
}
_BERT_LAYER: dict[str, str | Fused] = {
    **{f"attention.{part}": role for part, role in _BERT_ATTENTION.items()},
    **{f"crossattention.{part}": role for part, role in _BERT_ATTENTION.items()},
    **_FEED_FORWARD,
}
_BERT = {**_EMBEDDINGS, "pooler.dense": "pooler"}
_GATED_LAYER = {
    "self_attn.q_proj": "attention.query",
    "self_attn.k_proj": "attention.key",
    "self_attn.v_proj": "attention.value",
    "self_attn.o_proj": "attention.output",
    "mlp.gate_proj": "ffn.intermediate",
    "mlp.up_proj": "ffn.intermediate",
    "mlp.down_proj": "ffn.output",
}

FAMILIES = (
    Family("BERT", "bert", ("bert",), "encoder.layer.{}", _BERT_LAYER, _BERT),
    Family(
        "RoBERTa, XLM-R, CamemBERT",
        "roberta",
        ("roberta", "xlm-roberta", "camembert"),
        "encoder.layer.{}",
        _BERT_LAYER,
        _BERT,
    ),
    Family(
        "DistilBERT",
        "distilbert",
        ("distilbert",),
        "transformer.layer.{}",
        {
            "attention.q_lin": "attention.query",
            "attention.k_lin": "attention.key",
            "attention.v_lin": "attention.value",
            "attention.out_lin": "attention.output",
            "ffn.lin1": "ffn.intermediate",
            "ffn.lin2": "ffn.output",
        },
        _EMBEDDINGS,
        width="hidden_dim",
    ),
    Family("ELECTRA", "electra", ("electra",), "encoder.layer.{}", _BERT_LAYER, _EMBEDDINGS),
    Family(
        "ALBERT",
        "albert",
        ("albert",),
        "encoder.albert_layer_groups.{}.albert_layers.{}",
        {
            "attention.query": "attention.query",
            "attention.key": "attention.key",
            "attention.value": "attention.value",
            "attention.dense": "attention.output",
            "ffn": "ffn.intermediate",
            "ffn_output": "ffn.output",
        },
        {**_EMBEDDINGS, "pooler": "pooler"},
        shared_by=("num_hidden_layers", "num_hidden_groups"),
    ),
    Family(
        "MPNet",
        "mpnet",
        ("mpnet",),
        "encoder.layer.{}",
        {
            "attention.attn.q": "attention.query",
            "attention.attn.k": "attention.key",
            "attention.attn.v": "attention.value",
            "attention.attn.o": "attention.output",
            **_FEED_FORWARD,
        },
        {**_BERT, "encoder.relative_attention_bias": "embeddings.position"},
        shared_bias=True,
    ),
    Family(
        "DeBERTa",
        "deberta",
        ("deberta",),
        "encoder.layer.{}",
        {
            "attention.self.in_proj": Fused(_QKV, by_head=True),
            "attention.self.pos_proj": "attention.key",
            "attention.self.pos_q_proj": "attention.query",
            "attention.output.dense": "attention.output",
            **_FEED_FORWARD,
        },
        {**_EMBEDDINGS, "encoder.rel_embeddings": "embeddings.position"},
        biases={"attention.self.q_bias": "attention.query", "attention.self.v_bias": "attention.value"},
        mixed_by="attention.self.head_logits_proj",
    ),
    Family(
        "DeBERTa v2/v3",
        "deberta-v2",
        ("deberta-v2",),
        "encoder.layer.{}",
        {
            "attention.self.query_proj": "attention.query",
            "attention.self.key_proj": "attention.key",
            "attention.self.value_proj": "attention.value",
            "attention.self.pos_key_proj": "attention.key",
            "attention.self.pos_query_proj": "attention.query",
            "attention.output.dense": "attention.output",
            **_FEED_FORWARD,
        },
        {**_EMBEDDINGS, "encoder.rel_embeddings": "embeddings.position"},
        head_size="attention_head_size",
    ),
    Family(
        "ModernBERT",
        "modernbert",
        ("modernbert",),
        "layers.{}",
        {
            "attn.Wqkv": Fused(_QKV),
            "attn.Wo": "attention.output",
            "mlp.Wi": "ffn.intermediate",
            "mlp.Wo": "ffn.output",
        },
        {"embeddings.tok_embeddings": "embeddings.word"},
        first_differs=True,  # it has no norm before its attention
    ),
    Family("NomicBERT", "nomic_bert", ("nomic_bert",), "layers.{}", _GATED_LAYER, _BERT, head_size="head_dim"),
    Family(
        "EuroBERT",
        "eurobert",
        ("eurobert",),
        "layers.{}",
        _GATED_LAYER,
        {"embed_tokens": "embeddings.word"},
        head_size="head_dim",
    ),
    Family(
        "RoFormer",
        "roformer",
        ("roformer",),
        "encoder.layer.{}",
        _BERT_LAYER,
        {**_EMBEDDINGS, "encoder.embed_positions": "embeddings.position"},
    ),
    Family(
        "T5 encoder",
        "t5",
        ("t5",),
        "encoder.block.{}",
        {
            "layer.0.SelfAttention.q": "attention.query",
            "layer.0.SelfAttention.k": "attention.key",
            "layer.0.SelfAttention.v": "attention.value",
            "layer.0.SelfAttention.o": "attention.output",
            "layer.0.SelfAttention.relative_attention_bias": "embeddings.position",
            "layer.1.DenseReluDense.wi": "ffn.intermediate",
            "layer.1.DenseReluDense.wi_0": "ffn.intermediate",
            "layer.1.DenseReluDense.wi_1": "ffn.intermediate",
            "layer.1.DenseReluDense.wo": "ffn.output",
        },
        {"shared": "embeddings.word", "encoder.embed_tokens": "embeddings.word"},
        width="d_ff",
        head_size="d_kv",
        shared_bias=True,
        first_differs=True,  # it holds the position bias of all layers
    ),
)

KNOWN_FAMILIES = ", ".join(family.title for family in FAMILIES)
"""What messages say of them."""
