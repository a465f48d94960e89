"""What is known about a checkpoint before any weight is read: names, shapes, dtypes. Needs no torch."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, shortened
from .json_files import first_line, parse_object, unreadable

LARGEST_HEADER = 4 * 1024 * 1024
"""In bytes; the format allows 100 MB, which takes minutes to read, and a model of 1,000 tensors has 0.1 MB."""
MOST_TENSORS = 10_000
MOST_DIMENSIONS = 64
"""How many dimensions a tensor of torch can have."""

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "C64": "complex64",
}


@dataclass(frozen=True)
class TensorFact:
    """Describe one stored tensor: its name in the file, its shape, and its torch dtype ("float16")."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Return the number of values."""
        return prod(self.shape)


@dataclass(frozen=True)
class Facts:
    """Describe a checkpoint: sizes count values and bytes as they are stored, tied tensors once."""

    architecture: str
    """The transformers class that is built, such as "BertForMaskedLM"."""
    model_type: str
    """The family as transformers names it, such as "bert"."""
    parameters: int
    """Values in the model's parameters, tied ones counted once."""
    dtype: str
    """The dtype that holds most values."""
    bytes: int
    """The size of the weight files, in bytes; 0 where nothing is stored."""
    tensors: tuple[TensorFact, ...]
    """Every stored tensor, in the order of the files."""
    files: tuple[str, ...]
    """The names of the weight files."""
    notes: tuple[str, ...] = ()
    """Plain sentences for the user, such as what was assumed."""


def main_dtype(tensors: tuple[TensorFact, ...]) -> str:
    """Return the dtype that holds most values; "float32" where there are none."""
    values: dict[str, int] = {}
    for fact in tensors:
        values[fact.dtype] = values.get(fact.dtype, 0) + fact.size
    return max(values, key=lambda dtype: values[dtype]) if values else "float32"


def safetensors_header(path: Path) -> tuple[TensorFact, ...]:
    """Read the header of a safetensors file and check that it is valid; raises CheckpointError.

    The format's own reader checks offsets, overlaps and lengths. It accepts a repeated name, keeping the last, and
    headers that take seconds and gigabytes, so these are refused here first.
    """
    entries = parse_object(_raw_header(path), f"{path.name} (header)")
    refuse_many(path.name, len(entries))
    found = tuple(stored_tensor(path.name, name, entry) for name, entry in entries.items() if name != "__metadata__")
    _check_layout(path)
    return found


def refuse_many(file: str, tensors: int) -> None:
    """Refuse more tensors than any model has; raises CheckpointError."""
    if tensors > MOST_TENSORS:
        raise CheckpointError(
            "{file} holds {tensors:,} tensors; at most {most:,} are accepted",
            code="checkpoint.too_many_tensors", file=file, tensors=tensors, most=MOST_TENSORS,
        )  # fmt: skip


def stored_tensor(file: str, name: str, entry: Any) -> TensorFact:
    """Turn one entry of a header, {"dtype": "F32", "shape": […]}, into a fact; raises CheckpointError."""
    dtype, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
    tensor = shortened(name, 80)
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise CheckpointError(
            "{file}: {tensor!r} has no valid shape: expected a list of lengths",
            code="checkpoint.no_shape", file=file, tensor=tensor,
        )  # fmt: skip
    if len(shape) > MOST_DIMENSIONS:
        raise CheckpointError(
            "{file}: {tensor!r} has {dimensions:,} dimensions; torch allows at most {most}",
            code="checkpoint.too_many_dimensions", file=file, tensor=tensor,
            dimensions=len(shape), most=MOST_DIMENSIONS,
        )  # fmt: skip
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise CheckpointError(
            "{file}: {tensor!r} has the dtype {dtype}, which torch does not know",
            code="checkpoint.unknown_dtype", file=file, tensor=tensor, dtype=shortened(json.dumps(dtype), 40),
        )  # fmt: skip
    return TensorFact(name, tuple(shape), _DTYPES[dtype])


def _raw_header(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > size - 8:
                raise CheckpointError(
                    "{file} ends within its header: expected a whole safetensors file",
                    code="checkpoint.header_cut_off", file=path.name,
                )  # fmt: skip
            if length > LARGEST_HEADER:
                raise CheckpointError(
                    "{file} has a header of {size:,} bytes; at most {most:,} are read",
                    code="checkpoint.header_too_large", file=path.name, size=length, most=LARGEST_HEADER,
                )  # fmt: skip
            return file.read(length)
    except OSError as error:
        raise unreadable(path.name, error) from None


def _check_layout(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            "{file} is not a valid safetensors file: {reason}",
            code="checkpoint.not_safetensors", file=path.name, reason=first_line(error),
        ) from None  # fmt: skip
