"""Which files of a folder hold its weights: chosen by their names, on the disk and on the Hub alike."""

import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import CheckpointError, TooLargeError, first_names, shortened
from .json_files import read_object
from .weights import SafetensorsWeights, TorchWeights, Weights

MASKED_FILE = "masked.safetensors"
"""The weight file of a masked export; no other loader looks for that name, so plain `from_pretrained` fails on it."""
SINGLE = ("model.safetensors", "pytorch_model.bin")
"""The names of a weight file that holds the whole model."""
INDEX = ".index.json"
"""What follows such a name in the list of its shards."""
ONNX_FILE = PurePosixPath("onnx/model.onnx")
"""Where a folder holds its ONNX model."""
_ADAPTER = {
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapter_model.bin",
    "adapter.safetensors",
    "pytorch_adapter.bin",
}
_TRAINED = re.compile(r"checkpoint-(\d{1,18})")
"""What a Trainer calls the folders in which it saves a model."""
_SHARD = re.compile(r"[\w.-]{1,200}\.(safetensors|bin)")
_KINDS: dict[str, Callable[[tuple[Path, ...]], Weights]] = {
    ".safetensors": SafetensorsWeights,
    **dict.fromkeys((".bin", ".pt", ".pth"), TorchWeights),
}
"""What reads the files of each suffix."""


class NoWeightsFound(CheckpointError):
    """The folder has no weight files, or not all that its index names."""


def weight_file(there: Collection[str], name: str) -> str:
    """Return which of a folder's files holds the weights, or lists their shards; safetensors before torch files.

    Raises CheckpointError where there is none, or where it is unclear.
    """
    refuse_adapter(there, name)
    known = [file for single in SINGLE for file in (single, single + INDEX) if file in there]
    if MASKED_FILE in there and known:
        raise CheckpointError(
            "{name} holds both {masked} and {plain}; open one of the files",
            code="checkpoint.masked_and_plain", name=name, masked=MASKED_FILE, plain=known[0],
        )  # fmt: skip
    if MASKED_FILE in there or known:
        return MASKED_FILE if MASKED_FILE in there else known[0]
    lone = [file for file in there if file.endswith(".safetensors")]
    if len(lone) == 1:
        return lone[0]
    raise _no_weights(there, name)


def _no_weights(there: Collection[str], name: str) -> NoWeightsFound:
    """Return the error for a folder without weights of a usual name; it names what is there in their place."""
    if trained := sorted(filter(None, map(_TRAINED.fullmatch, there)), key=lambda found: int(found[1])):
        return NoWeightsFound(
            "{name} has no weights itself; its last training checkpoint is {inside}: open that folder",
            code="checkpoint.weights_inside", name=name, inside=trained[-1][0],
        )  # fmt: skip
    if others := sorted(file for file in there if Path(file).suffix in _KINDS):
        return NoWeightsFound(
            "{name} has no model.safetensors or pytorch_model.bin: rename the file that holds the model, or open it by"
            " its path; there are {files}",
            code="checkpoint.which_weights", name=name, files=first_names((shortened(one, 80) for one in others), 3),
        )  # fmt: skip
    return NoWeightsFound(
        "{name} has no weights: expected model.safetensors or pytorch_model.bin (or their shards with an index)",
        code="checkpoint.no_weights", name=name,
    )  # fmt: skip


def folder_weights(folder: Path, name: str) -> Weights:
    """Read the headers of a folder's weights; raises CheckpointError."""
    _refuse_onnx(folder, name)
    there = {path.name for path in folder.iterdir()}
    file = weight_file(there, name)
    if not file.endswith(INDEX):
        return _KINDS[Path(file).suffix]((folder / file,))
    names = shard_names(folder / file)
    weights = _weights_of(tuple(folder / shard for shard in shard_files(names, file, there)))
    if lost := sorted(set(names) - {fact.name for fact in weights.tensors}):
        raise CheckpointError(
            "{index} names {tensor!r}, which no shard holds",
            code="checkpoint.tensor_in_no_shard", index=file, tensor=shortened(lost[0], 80),
        )  # fmt: skip
    return weights


def onnx_file(folder: Path) -> Path | None:
    """Return the ONNX model of a folder that holds no weights besides it."""
    if any(path.suffix in _KINDS or path.name.endswith(INDEX) for path in folder.iterdir()):
        return None
    return next((path for path in (folder / ONNX_FILE, folder / ONNX_FILE.name) if path.is_file()), None)


def _refuse_onnx(path: Path, name: str) -> None:
    """Refuse an ONNX model, which is a graph without modules. Raises CheckpointError."""
    if path.suffix == ONNX_FILE.suffix or (path.is_dir() and onnx_file(path) is not None):
        raise CheckpointError(
            "{name} is an ONNX model, which can be evaluated and timed (bp.evaluate, bp.speed), but not loaded or"
            " pruned: open the checkpoint that it was made from",
            code="checkpoint.is_onnx", name=name,
        )  # fmt: skip


def file_weights(path: Path) -> Weights:
    """Read the header of one weight file; raises CheckpointError."""
    _refuse_onnx(path, path.name)
    refuse_adapter((beside.name for beside in path.parent.iterdir()), path.name)
    if path.suffix in _KINDS:
        return _KINDS[path.suffix]((path,))
    raise CheckpointError(
        "{file} is not a weight file: expected .safetensors, .bin, .pt or .pth",
        code="checkpoint.not_a_weight_file", file=path.name,
    )  # fmt: skip


def shard_names(index: Path) -> dict[str, str]:
    """Read an index: the file of each tensor, checked: plain names, nothing that leaves the folder."""
    names: Any = read_object(index, index.name).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(
            "{index} has no weight_map: expected a map from tensor to file name",
            code="checkpoint.no_weight_map", index=index.name,
        )  # fmt: skip
    for file in names.values():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise CheckpointError(
                "{index} points to {file!r}: expected a .safetensors or .bin file in the same folder",
                code="checkpoint.bad_shard_name", index=index.name, file=str(file)[-60:],
            )  # fmt: skip
    return names


def shard_files(names: dict[str, str], index: str, there: Collection[str]) -> tuple[str, ...]:
    """Return the files that an index names. Raises NoWeightsFound where one of them is not there."""
    files = tuple(sorted(set(names.values())))
    for file in files:
        if file not in there:
            raise NoWeightsFound(
                "{index} names the shard {file}, which does not exist",
                code="checkpoint.missing_shard", index=index, file=file,
            )  # fmt: skip
    return files


def refuse_adapter(files: Iterable[str], name: str) -> None:
    """Refuse an adapter, alone or beside its base: it changes what the base answers. Raises CheckpointError."""
    if not _ADAPTER.isdisjoint(files):
        raise CheckpointError(
            "{name} is an adapter, or has one beside it, which changes what its base computes: load both with peft"
            " (or adapters), save the result of merge_and_unload() (merge_adapter()), and open that folder",
            code="checkpoint.adapter", name=name,
        )  # fmt: skip


def refuse_single_shard(path: Path) -> None:
    """Refuse one shard of several, which is not a whole model; raises CheckpointError."""
    for single in SINGLE:
        index = path.parent / (single + INDEX)
        if index.is_file() and path.name in shard_names(index).values():
            raise CheckpointError(
                "{file} is one shard of several; open the folder that holds them all",
                code="checkpoint.single_shard", file=path.name,
            )  # fmt: skip


def refuse_larger(name: str, size: int, largest: int | None) -> None:
    """Refuse weight files that are larger than the caller accepts; raises TooLargeError."""
    if largest is not None and size > largest:
        raise TooLargeError(
            "{name} holds {size:,} bytes of weights; at most {most:,} are accepted",
            code="checkpoint.too_large", name=name, size=size, most=largest,
        )  # fmt: skip


def _weights_of(shards: tuple[Path, ...]) -> Weights:
    safe = all(path.suffix == ".safetensors" for path in shards)
    return (SafetensorsWeights if safe else TorchWeights)(shards)
