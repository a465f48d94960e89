"""Names, shapes and dtypes of stored tensors, from the headers of safetensors files. Needs no torch."""

import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .facts import TensorFact
from .reading import parse_object, reason

LARGEST_HEADER = 4 * 1024 * 1024
"""In bytes; the format allows 100 MB, which takes minutes to read, and a model of 1,000 tensors has 0.1 MB."""
MOST_TENSORS = 10_000
MOST_LENGTHS = 64
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


def safetensors_header(path: Path) -> tuple[TensorFact, ...]:
    """Read what a safetensors file says it holds, and check that it can be true.

    The format's own reader checks offsets, overlaps and lengths. It takes the last of two tensors of the
    same name, so that repeated names are looked for here. Raises CheckpointError.
    """
    entries = parse_object(_raw_header(path), f"{path.name}: the header")
    refuse_many(path.name, len(entries))
    found = tuple(stored_tensor(path.name, name, entry) for name, entry in entries.items() if name != "__metadata__")
    _validate(path)
    return found


def refuse_many(file: str, tensors: int) -> None:
    """Refuse more tensors than any model has; raises CheckpointError."""
    if tensors > MOST_TENSORS:
        raise CheckpointError(f"{file} holds {tensors:,} tensors; at most {MOST_TENSORS:,} are taken")


def stored_tensor(file: str, name: str, entry: Any) -> TensorFact:
    """Turn one entry of a header, {"dtype": "F32", "shape": […]}, into a fact; raises CheckpointError."""
    code, shape = (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise CheckpointError(f"{file}: {name[:80]!r} has no shape; a list of lengths is expected")
    if len(shape) > MOST_LENGTHS:
        raise CheckpointError(
            f"{file}: {name[:80]!r} has {len(shape):,} dimensions; at most {MOST_LENGTHS} are possible"
        )
    if not isinstance(code, str) or code not in _DTYPES:
        raise CheckpointError(f"{file}: {name[:80]!r} has the dtype {json.dumps(code)[:40]}, which torch does not know")
    return TensorFact(name, tuple(shape), _DTYPES[code])


def _raw_header(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 10 or length > size - 8:
                raise CheckpointError(f"{path.name} is no whole safetensors file: it ends within its header")
            if length > LARGEST_HEADER:
                raise CheckpointError(
                    f"{path.name} has a header of {length:,} bytes; at most {LARGEST_HEADER:,} are read"
                )
            return file.read(length)
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror or reason(error)}") from None


def _validate(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} is no valid safetensors file: {reason(error)}") from None
