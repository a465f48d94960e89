"""Which files of a folder hold its weights."""

import re
from pathlib import Path

from ..errors import CheckpointError
from .reading import read_object
from .weights import SafetensorsWeights, TorchWeights, Weights

SINGLE = ("model.safetensors", "pytorch_model.bin")
_TORCH_SUFFIXES = (".bin", ".pt", ".pth")
_SHARD = re.compile(r"[\w.-]{1,200}\.(safetensors|bin)")


class NoWeightsFound(CheckpointError):
    """The folder has no weight files, or not all that its index names."""


def folder_weights(folder: Path, name: str) -> Weights:
    """Find the weights of a folder, safetensors before torch files; raises CheckpointError."""
    if (folder / "masked.safetensors").exists() and not (folder / "model.safetensors").exists():
        raise CheckpointError(f"{name}: this is a masked export: bp.load(folder) opens it")
    for single in SINGLE:
        if (folder / single).is_file():
            return file_weights(folder / single)
        if (index := folder / f"{single}.index.json").is_file():
            return _sharded(index)
    lone = [path for path in sorted(folder.glob("*.safetensors")) if not path.name.startswith("adapter")]
    if len(lone) == 1:
        return file_weights(lone[0])
    raise NoWeightsFound(
        f"{name} holds no weights; model.safetensors or pytorch_model.bin (or their shards with an index) is expected"
    )


def file_weights(path: Path) -> Weights:
    """Read the headers of one weight file; raises CheckpointError."""
    if path.suffix == ".safetensors":
        return SafetensorsWeights((path,))
    if path.suffix in _TORCH_SUFFIXES:
        return TorchWeights((path,))
    raise CheckpointError(f"{path.name} is no weight file; .safetensors or {', '.join(_TORCH_SUFFIXES)} is expected")


def refuse_single_shard(path: Path) -> None:
    """Refuse one shard of several: the others belong to it; raises CheckpointError."""
    for single in SINGLE:
        index = path.parent / f"{single}.index.json"
        if index.is_file() and path.name in shard_names(read_object(index, index.name), index.name).values():
            raise CheckpointError(f"{path.name} is one shard of several; open the folder it lies in")


def shard_names(index: dict[str, object], called: str) -> dict[str, str]:
    """Return the index's map from tensor to file name, checked: plain names, nothing that leaves the folder."""
    names = index.get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{called} has no weight_map; a map from tensor to file name is expected")
    for file in names.values():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise CheckpointError(
                f"{called} points to {str(file)[-60:]!r}; a .safetensors or .bin file in the same folder is expected"
            )
    return names


def _sharded(index: Path) -> Weights:
    names = shard_names(read_object(index, index.name), index.name)
    paths = tuple(index.parent / file for file in sorted(set(names.values())))
    for path in paths:
        if not path.is_file():
            raise NoWeightsFound(f"{index.name} names the shard {path.name}, which is not there")
    kind = SafetensorsWeights if all(path.suffix == ".safetensors" for path in paths) else TorchWeights
    weights: Weights = kind(paths)
    lost = sorted(set(names) - {fact.name for fact in weights.tensors})
    if lost:
        raise CheckpointError(f"{index.name} names {lost[0][:80]!r}, which no shard holds")
    return weights
