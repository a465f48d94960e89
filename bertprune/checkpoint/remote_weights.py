"""The config and weights of a Hub model: from the cache, or its headers alone, and the files when they are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from ..parallel import Progress, one_of, silent
from .headers import TensorFact, refuse_many, stored_tensor
from .hub import HubModel
from .json_files import folder_config, read_object
from .network import SMALL_FILE_TIMEOUT
from .sentence_modules import no_transformer
from .weight_files import (
    INDEX,
    NoWeightsFound,
    folder_weights,
    refuse_adapter,
    refuse_larger,
    shard_files,
    shard_names,
    weight_file,
)
from .weights import Read, Weights

MOST_SHARDS = 64
"""The most shards of a model: the header of each is requested."""


def hub_config_and_weights(model: HubModel, largest: int | None) -> tuple[dict[str, Any], Weights]:
    """Read the config and headers of a model, from the cache or else from the network; raises CheckpointError."""
    if (folder := _cached_transformer(model)) is not None:
        try:
            return folder_config(folder, model.hub_id), folder_weights(folder, model.hub_id)
        except NoWeightsFound:
            pass  # only a part is cached
    files = RemoteFolder(model)
    refuse_adapter(files.sizes, model.hub_id)
    if "config.json" not in files.sizes:
        raise no_transformer(model.cached(), model.hub_id)
    config = read_object(files.fetch("config.json"), f"{model.hub_id}: config.json")
    file = weight_file(files.sizes, model.hub_id)
    shards = _shards(files, file) if file.endswith(INDEX) else (file,)
    size = sum(files.sizes[shard] for shard in shards)
    refuse_larger(model.hub_id, size, largest)
    names = (file, *shards) if file.endswith(INDEX) else shards
    if all(shard.endswith(".safetensors") for shard in shards):
        return config, RemoteWeights(files, names, shards, size)
    # A torch file has no header that could be read remotely: it must be downloaded first.
    return config, files.download(names)


def _cached_transformer(model: HubModel) -> Path | None:
    """Return the local folder with at least the config of the transformer, if that is cached."""
    folder = model.cached()
    inner = None if folder is None else folder / model.subfolder()
    return inner if inner is not None and (inner / "config.json").is_file() else None


class RemoteFolder:
    """The files of a Hub model that are beside its transformer, by name."""

    def __init__(self, model: HubModel) -> None:
        """Ask for the list of files; raises CheckpointError."""
        self.model = model
        self.sizes = model.transformer_files()

    def fetch(self, name: str) -> Path:
        """Download one small file; raises CheckpointError."""
        return self.model.fetch(self.model.path(name))

    def download(self, names: tuple[str, ...], progress: Progress = silent) -> Weights:
        """Download the weight files, and their index if there is one, and open them; raises CheckpointError."""
        for number, name in enumerate(names):
            path = self.model.fetch_large(self.model.path(name), one_of(progress, number, len(names)))
        return folder_weights(path.parent, self.model.hub_id)

    def header(self, name: str) -> tuple[TensorFact, ...]:
        """Request the header of one safetensors file; raises CheckpointError."""
        from huggingface_hub import HfApi

        model, path = self.model, self.model.path(name)
        header = model.ask(
            lambda: HfApi().parse_safetensors_file_metadata(model.hub_id, path, revision=model.revision),
            SMALL_FILE_TIMEOUT,
        )
        refuse_many(name, len(header.tensors))
        return tuple(
            stored_tensor(name, tensor, {"dtype": str(entry.dtype), "shape": list(entry.shape)})
            for tensor, entry in header.tensors.items()
        )


class RemoteWeights:
    """Hold the headers of safetensors files that are on the Hub; the files are downloaded when they are read."""

    def __init__(self, folder: RemoteFolder, names: tuple[str, ...], files: tuple[str, ...], size: int) -> None:
        """Request the headers of the files alone; `names` are all to download. Raises CheckpointError."""
        self._folder, self._names = folder, names
        self.files, self.bytes = files, size
        self.tensors = tuple(fact for file in files for fact in folder.header(file))
        self._local: Weights | None = None

    def fetch(self, progress: Progress = silent) -> None:
        """Download what is not cached yet; raises CheckpointError."""
        if self._local is None:
            self._local = self._folder.download(self._names, progress)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the downloaded files; none before they are fetched."""
        return self._local.paths if self._local is not None else ()

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the downloaded files."""
        self.fetch()
        assert self._local is not None
        with self._local.reader() as read:
            yield read

    def same(self, one: str, other: str) -> bool:
        """Trust the config that two stored tensors are tied: comparing them would download them."""
        return True


def _shards(folder: RemoteFolder, index: str) -> tuple[str, ...]:
    names = shard_names(folder.fetch(index))
    if len(set(names.values())) > MOST_SHARDS:
        raise CheckpointError(
            "{name} is split into {files:,} files; at most {most} are read",
            code="checkpoint.too_many_shards", name=folder.model.hub_id, files=len(set(names.values())),
            most=MOST_SHARDS,
        )  # fmt: skip
    return shard_files(names, index, folder.sizes)
