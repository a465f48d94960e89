"""Checkpoints that tests write by hand: honest ones in odd shapes, and hostile ones."""

import json
import struct
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.tiny_models import SMALL

CONFIG: dict[str, Any] = {"architectures": ["BertModel"], "model_type": "bert", **SMALL}
ENTRY = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
"""A tensor of two numbers in a header."""


def stored(folder: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a folder with one safetensors file."""
    return load_file(folder / "model.safetensors")


def store(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Write the tensors of a folder into one safetensors file."""
    save_file(tensors, folder / "model.safetensors")


def configure(folder: Path, **changes: Any) -> None:
    """Change the config of a folder; a key given as None is taken out."""
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


def set_tokenizer(folder: Path, **changes: Any) -> None:
    """Change the tokenizer's settings of a folder."""
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def raw_safetensors(path: Path, header: str, data: bytes = b"", length: int | None = None) -> None:
    """Write a safetensors file whose header says whatever it says."""
    text = header.encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return when each file of a folder was changed, and what it holds."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in sorted(folder.iterdir())}


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return every parameter and buffer by name, tied ones under each name."""
    return {name: value.detach() for name, value in model.state_dict(keep_vars=True).items()}


def alike(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Tell whether two models hold the same values under the same names, bit for bit."""
    first, second = values(one), values(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
