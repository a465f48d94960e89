"""Models of the Hugging Face Hub: the local cache first, then the network, always with a timeout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError, Message, shortened
from ..parallel import Progress, silent
from .headers import TensorFact, refuse_many, stored_tensor
from .json_files import first_line, folder_config, no_config, read_object
from .network import (
    CONNECT_TIMEOUT,
    SMALL_FILE_TIMEOUT,
    STALL_TIMEOUT,
    Transfer,
    Unreachable,
    bar_class,
    cached_ids,
    watched,
    with_timeout,
)
from .sentence_modules import MODULES_FILE
from .weights import NoWeightsFound, Read, Weights, folder_weights, refuse_adapter, refuse_larger, shard_names

LARGEST_SMALL = 64 * 1024 * 1024
"""The largest config or tokenizer file that is downloaded, in bytes."""
MOST_SHARDS = 64
"""The most shards of a model: the header of each is requested."""

T = TypeVar("T")


class HubModel:
    """Represent one model on the Hub: what is cached of it, and what can be downloaded."""

    def __init__(self, hub_id: str, revision: str, known: Message) -> None:
        """Check the form of the id; nothing is requested yet. Errors list what is `known` to work instead."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        self.hub_id, self.revision, self.known = hub_id, revision, known
        self.sizes: dict[str, int] = {}
        try:
            validate_repo_id(hub_id)
        except HFValidationError:
            raise CheckpointError(
                "{name!r} is neither a local path nor a Hub id (org/name); choose {known}",
                code="checkpoint.not_a_hub_id", name=shortened(hub_id, 100), known=known,
            ) from None  # fmt: skip

    def cached(self) -> Path | None:
        """Return the local snapshot's folder, if at least the config is in the cache."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.hub_id, "config.json", revision=self.revision)
        return Path(found).parent if isinstance(found, str) else None

    def list_files(self) -> dict[str, int]:
        """Ask the Hub for the bytes of each file by name; raises CheckpointError within 3 seconds if it cannot."""
        from huggingface_hub import HfApi, constants

        if constants.HF_HUB_OFFLINE:
            raise self.unreachable(Message("offline mode is set", code="checkpoint.offline"))
        info = self.ask(
            lambda: HfApi().model_info(
                self.hub_id, revision=self.revision, timeout=CONNECT_TIMEOUT, files_metadata=True
            ),
            CONNECT_TIMEOUT,
        )
        self.sizes = {item.rfilename: item.size or 0 for item in info.siblings or []}
        return self.sizes

    def fetch(self, file: str) -> Path:
        """Download one small file into the cache and return its path; raises CheckpointError."""
        from huggingface_hub import hf_hub_download

        if self.sizes.get(file, 0) > LARGEST_SMALL:
            raise CheckpointError(
                "{name}: {file} is larger than {most} MiB, so it is not downloaded",
                code="checkpoint.hub_file_too_large", name=self.hub_id, file=file, most=LARGEST_SMALL >> 20,
            )  # fmt: skip
        return Path(self.ask(lambda: hf_hub_download(self.hub_id, file, revision=self.revision), SMALL_FILE_TIMEOUT))

    def fetch_large(self, file: str, progress: Progress = silent) -> Path:
        """Download one file of any size, for as long as data arrives; an exception from `progress` ends it."""
        from huggingface_hub import hf_hub_download

        transfer = Transfer()
        bar = bar_class(transfer)

        def download() -> Path:
            try:
                return Path(hf_hub_download(self.hub_id, file, revision=self.revision, tqdm_class=bar))
            except Exception as error:
                raise self.translated(error) from None

        try:
            return watched(download, transfer, STALL_TIMEOUT, lambda share: progress(share, f"downloading {file}"))
        except TimeoutError:
            reason = Message("nothing received for {seconds:g} s", code="checkpoint.stalled", seconds=STALL_TIMEOUT)
            raise self.unreachable(reason) from None

    def ask(self, call: Callable[[], T], seconds: float) -> T:
        """Run a call to the Hub for at most `seconds`, and turn its errors into ours."""
        try:
            return with_timeout(seconds, call)
        except TimeoutError:
            reason = Message("no answer within {seconds:g} s", code="checkpoint.no_answer", seconds=seconds)
            raise self.unreachable(reason) from None
        except Exception as error:
            raise self.translated(error) from None

    def translated(self, error: Exception) -> CheckpointError:
        """Return what an error of the Hub's client means to the user."""
        from huggingface_hub import errors

        name, known = self.hub_id, self.known
        if isinstance(error, CheckpointError):
            return error
        if isinstance(error, errors.GatedRepoError):
            return CheckpointError(
                "{name!r} is gated on the Hub; log in with an account that has access",
                code="checkpoint.hub_gated", name=name,
            )  # fmt: skip
        if isinstance(error, errors.RepositoryNotFoundError):
            return CheckpointError(
                "{name!r} is not on the Hub, or is private; choose {known}",
                code="checkpoint.hub_not_found", name=name, known=known,
            )  # fmt: skip
        if isinstance(error, errors.RevisionNotFoundError):
            return CheckpointError(
                "{name!r} has no revision {revision!r} on the Hub",
                code="checkpoint.hub_no_revision", name=name, revision=shortened(self.revision),
            )  # fmt: skip
        if isinstance(error, errors.SafetensorsParsingError):
            return CheckpointError(
                "{name!r} has no valid safetensors file on the Hub: {reason}",
                code="checkpoint.hub_not_safetensors", name=name, reason=first_line(error),
            )  # fmt: skip
        return self.unreachable(first_line(error))

    def unreachable(self, reason: str | Message) -> Unreachable:
        """Return the error that says what can be used instead."""
        known = self.known
        if ids := cached_ids():
            names = ", ".join(ids)
            known = Message("{known} (such as {names})", code="checkpoint.known_cached", known=known, names=names)
        return Unreachable(
            "{name!r} is not fully cached, and the Hugging Face Hub cannot be reached ({reason}); choose {known}",
            code="checkpoint.hub_unreachable", name=self.hub_id, reason=reason, known=known,
        )  # fmt: skip


def hub_config_and_weights(model: HubModel, largest: int | None) -> tuple[dict[str, Any], Weights]:
    """Read the config and headers of a model, from the cache or else from the network; raises CheckpointError."""
    if (folder := model.cached()) is not None:
        try:
            return folder_config(folder, model.hub_id), folder_weights(folder, model.hub_id)
        except NoWeightsFound:
            pass  # only a part is cached
    sizes = model.list_files()
    refuse_adapter(sizes, model.hub_id)
    if "config.json" not in sizes and MODULES_FILE in sizes:
        raise CheckpointError(
            "{name} keeps its transformer in a folder of its own: download it (hf download {name}) and open its folder",
            code="checkpoint.hub_inner_transformer", name=model.hub_id,
        )  # fmt: skip
    if "config.json" not in sizes:
        raise no_config(model.hub_id)
    config = read_object(model.fetch("config.json"), f"{model.hub_id}: config.json")
    if "model.safetensors" in sizes or "model.safetensors.index.json" in sizes:
        return config, RemoteWeights(model, sizes, largest)
    # A torch file has no header that could be read remotely: it must be downloaded first.
    files = _torch_files(model, sizes)
    refuse_larger(model.hub_id, sum(sizes[file] for file in files), largest)
    for file in files:
        model.fetch_large(file)
    return config, folder_weights(_snapshot(model), model.hub_id)


def _torch_files(model: HubModel, sizes: dict[str, int]) -> list[str]:
    if "pytorch_model.bin" in sizes:
        return ["pytorch_model.bin"]
    if "pytorch_model.bin.index.json" in sizes:
        shards = sorted(name for name in sizes if name.startswith("pytorch_model-") and name.endswith(".bin"))
        return ["pytorch_model.bin.index.json", *shards]
    raise NoWeightsFound(
        "{name} has no weights on the Hub: expected model.safetensors or pytorch_model.bin",
        code="checkpoint.hub_no_weights", name=model.hub_id,
    )  # fmt: skip


class RemoteWeights:
    """Hold the headers of safetensors files that are on the Hub; the files are downloaded when they are read."""

    def __init__(self, model: HubModel, sizes: dict[str, int], largest: int | None = None) -> None:
        """Request the headers alone; raises CheckpointError."""
        self.model = model
        self._index = () if "model.safetensors" in sizes else ("model.safetensors.index.json",)
        self.files = _shards(model, self._index[0]) if self._index else ("model.safetensors",)
        self.bytes = sum(sizes.get(file, 0) for file in self.files)
        refuse_larger(model.hub_id, self.bytes, largest)
        self.tensors = tuple(fact for file in self.files for fact in _remote_header(model, file))
        self._local: Weights | None = None

    def fetch(self, progress: Progress = silent) -> None:
        """Download what is not cached yet; raises CheckpointError."""
        if self._local is not None:
            return
        files = (*self._index, *self.files)
        for number, file in enumerate(files):
            self.model.fetch_large(file, _part(progress, number, len(files)))
        self._local = folder_weights(_snapshot(self.model), self.model.hub_id)

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


def _part(progress: Progress, number: int, of: int) -> Progress:
    """Return a progress for one of several files, on the scale of them all."""
    return lambda share, words: progress((number + share) / of, words)


def _shards(model: HubModel, index: str) -> tuple[str, ...]:
    names = sorted(set(shard_names(read_object(model.fetch(index), index), index).values()))
    if len(names) > MOST_SHARDS:
        raise CheckpointError(
            "{name} is split into {files:,} files; at most {most} are read",
            code="checkpoint.too_many_shards", name=model.hub_id, files=len(names), most=MOST_SHARDS,
        )  # fmt: skip
    return tuple(names)


def _remote_header(model: HubModel, file: str) -> tuple[TensorFact, ...]:
    from huggingface_hub import HfApi

    header = model.ask(
        lambda: HfApi().parse_safetensors_file_metadata(model.hub_id, file, revision=model.revision), SMALL_FILE_TIMEOUT
    )
    refuse_many(file, len(header.tensors))
    return tuple(
        stored_tensor(file, name, {"dtype": str(entry.dtype), "shape": list(entry.shape)})
        for name, entry in header.tensors.items()
    )


def _snapshot(model: HubModel) -> Path:
    if (folder := model.cached()) is None:
        raise model.unreachable(Message("the cache was emptied meanwhile", code="checkpoint.cache_emptied"))
    return folder
