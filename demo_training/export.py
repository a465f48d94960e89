"""Write a trained model as a folder that `from_pretrained` loads."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertForMaskedLM, BertForSequenceClassification, PreTrainedTokenizerFast

from demo_training.data import MAX_TOKENS

TIED = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


def half_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters in float16, without the tied ones."""
    return {
        name: tensor.detach().half().contiguous()
        for name, tensor in model.named_parameters(remove_duplicate=False)
        if name not in TIED
    }


def write_config(model: BertForMaskedLM | BertForSequenceClassification, folder: Path) -> None:
    """Write config.json; its `dtype` is the dtype to compute in, not the one on disk."""
    config = model.config.to_diff_dict()
    config |= {"architectures": [type(model).__name__], "dtype": "float32"}
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, with a class name that old and new versions know."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_TOKENS,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
    fast.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def export(model: BertForMaskedLM | BertForSequenceClassification, tokenizer: Tokenizer, folder: Path) -> None:
    """Write config, float16 weights and tokenizer to a temporary folder, then rename it to `folder`."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    write_config(model, part)
    save_file(half_tensors(model), part / "model.safetensors", metadata={"format": "pt"})
    write_tokenizer(tokenizer, part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
