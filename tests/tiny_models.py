"""Tiny seeded models of every class that the tests use, their tokenizer, and checkpoints of them."""

import json
import string
from pathlib import Path
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


def make_tokenizer() -> Any:
    """Build a WordPiece tokenizer of 97 entries: special tokens, letters, letters within words, some words, digits."""
    from transformers import BertTokenizer

    letters = string.ascii_lowercase
    words = "the film was is good bad very not and it plot acting music boring great awful fine".split()
    digits = string.digits + string.punctuation
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{x}" for x in letters),
        *words,
        *digits,
    ]
    vocabulary = {piece: number for number, piece in enumerate(pieces[:97])}
    return BertTokenizer(vocab=vocabulary, model_max_length=32)


def write_checkpoint(
    folder: Path,
    model_cls: str,
    dtype: str = "float32",
    tokenizer: bool = True,
    sharded: bool = False,
    pickle: bool = False,
    seed: int = 0,
    **changes: Any,
) -> Path:
    """Write a tiny checkpoint into a new folder, in one file or several, as safetensors or as torch files."""
    import torch

    model = make_model(model_cls, seed, **changes).to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size="20KB" if sharded else "1GB")
    if pickle:
        _as_pickle(folder)
    if tokenizer:
        make_tokenizer().save_pretrained(folder)
    return folder


def _as_pickle(folder: Path) -> None:
    """Turn the safetensors files of a folder into torch files of the old names."""
    import torch
    from safetensors.torch import load_file

    for file in folder.glob("model*.safetensors"):
        renamed = file.name.replace("model", "pytorch_model", 1).replace(".safetensors", ".bin")
        torch.save(load_file(file), folder / renamed)
        file.unlink()
    for index in folder.glob("model.safetensors.index.json"):
        text = index.read_text().replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(json.loads(text)))
        index.unlink()
