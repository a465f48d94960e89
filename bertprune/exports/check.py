"""Read an export back as its users will, and compare it with the run to the last bit."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint.loading import building, quietly
from ..errors import CheckpointError, ExportError
from ..seeded import Seeded
from .load import load
from .parts import Parts
from .tensors import Form, entries

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check(folder: Path, parts: Parts, form: Form, name: str) -> int:
    """Reload the folder and compare every tensor; return how many there are.

    Raises ExportError, which calls the folder by the `name` that it is to have.
    """
    try:
        return _check(folder, parts, form)
    except (_Different, CheckpointError) as error:
        raise ExportError(f"{name}: {error}; nothing was kept") from None


class _Different(Exception):
    """Something on the disk is not what was to be written."""


def _check(folder: Path, parts: Parts, form: Form) -> int:
    back = _from_pretrained(folder, parts) if form == "baked" else load(folder)
    there = dict(back.state_dict())
    expected = {entry.name: entry for entry in entries(parts.checkpoint.model(parts.seed), parts.masks, form)}
    for name in sorted(expected.keys() ^ there.keys()):
        raise _Different(f"{name} {'did not come back' if name in expected else 'came from nowhere'}")
    for name, entry in expected.items():
        value = entry.value
        if value.dtype == torch.bool and parts.mask_dtype == "float":
            value = value.to(torch.float32)
        if not same_bits(value, there[name]):
            raise _Different(f"{name} did not come back as it was")
    return len(expected)


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Compare two tensors bit for bit: zeros keep their signs, and NaN equals itself."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    bits = _BITS[one.element_size()]
    return torch.equal(one.contiguous().view(bits), other.contiguous().view(bits))


def _from_pretrained(folder: Path, parts: Parts) -> nn.Module:
    """Load with the class that the config names, as someone without bertprune does."""
    cls: Any = type(parts.checkpoint.skeleton())
    with building, Seeded(parts.seed), quietly():
        model, told = cls.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, local_files_only=True)
    for kind, names in told.items():
        if names:
            raise _Different(f"{cls.__name__} reports {kind.replace('_', ' ')}: {min(map(str, names))}")
    return model  # type: ignore[no-any-return]
