"""Tiny seeded models of every class that the tests use."""

from typing import Any

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 97,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": 97}


def make_config(model_cls: str, **changes: Any) -> Any:
    """Build a tiny configuration for a class of transformers, such as `BertForMaskedLM`."""
    import transformers

    name = model_cls.partition("For")[0].removesuffix("Model") + "Config"
    small = dict(DISTIL, max_position_embeddings=32) if name.startswith("Distil") else dict(SMALL)
    if name == "ElectraConfig":
        small["embedding_size"] = 16  # as in real small models, which project their embeddings
    return getattr(transformers, name)(**{**small, **changes})


def make_model(model_cls: str, seed: int = 0, **changes: Any) -> Any:
    """Build a tiny model with seeded weights; the global random state does not change."""
    import torch
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return getattr(transformers, model_cls)(make_config(model_cls, **changes)).eval()
