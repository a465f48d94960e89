"""Models of the Hugging Face Hub: the local cache first, then the network, never waiting long for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import CheckpointError
from ..parallel import Progress, silent
from .facts import TensorFact
from .folder import NoWeightsFound, folder_weights, shard_names
from .headers import refuse_many, stored_tensor
from .network import Transfer, Unreachable, attended, bar_class, cached_ids, part_of, within
from .reading import read_object, reason
from .source import Source, alternatives, folder_config, refuse_larger
from .tokenizer_files import SETTINGS, VOCABULARIES, has_vocabulary
from .weights import Read, Weights

REACH = 2.5
"""Seconds in which the Hub must have answered once; without an answer it counts as unreachable."""
SMALL = 20.0
"""Seconds for a config, headers or a tokenizer, once the Hub has answered."""
PATIENCE = 15.0
"""Seconds in which something must come while a large file is fetched."""
LARGEST_SMALL = 64 * 1024 * 1024
"""The largest config or tokenizer file that is fetched, in bytes."""
MOST_SHARDS = 64
"""In how many files a model may lie: the header of each is asked for."""

T = TypeVar("T")


class HubModel:
    """Stand for one model of the Hub: what is cached of it, and what can be fetched."""

    def __init__(self, hub_id: str, revision: str, local: bool = True) -> None:
        """Check the form of the id; nothing is asked yet. `local` tells errors whether paths could be named instead."""
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        self.alternatives = alternatives(local)
        try:
            validate_repo_id(hub_id)
        except HFValidationError:
            raise CheckpointError(
                f"{hub_id!r} is neither a path here nor an id of the Hub (org/name); {self.alternatives} can be used"
            ) from None
        self.hub_id = hub_id
        self.revision = revision
        self.sizes: dict[str, int] = {}

    def cached(self) -> Path | None:
        """Return the local snapshot's folder, if at least the config is in the cache."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(self.hub_id, "config.json", revision=self.revision)
        return Path(found).parent if isinstance(found, str) else None

    def info(self) -> dict[str, int]:
        """Ask the Hub for the bytes of each file by name; raises CheckpointError within 3 seconds if it cannot."""
        from huggingface_hub import HfApi, constants

        if constants.HF_HUB_OFFLINE:
            raise self.unreachable("offline mode is set")
        told = self.ask(
            lambda: HfApi().model_info(self.hub_id, revision=self.revision, timeout=REACH, files_metadata=True), REACH
        )
        self.sizes = {item.rfilename: item.size or 0 for item in told.siblings or []}
        return self.sizes

    def fetch(self, file: str) -> Path:
        """Download one small file into the cache and return its path; raises CheckpointError."""
        from huggingface_hub import hf_hub_download

        if self.sizes.get(file, 0) > LARGEST_SMALL:
            raise CheckpointError(
                f"{self.hub_id}: {file} is larger than {LARGEST_SMALL >> 20} MiB, so it is not fetched"
            )
        return Path(self.ask(lambda: hf_hub_download(self.hub_id, file, revision=self.revision), SMALL))

    def fetch_large(self, file: str, progress: Progress = silent) -> Path:
        """Download one file of any size, for as long as something comes; what `progress` raises ends it."""
        from huggingface_hub import hf_hub_download

        transfer = Transfer()
        bar = bar_class(transfer)

        def call() -> Path:
            try:
                return Path(hf_hub_download(self.hub_id, file, revision=self.revision, tqdm_class=bar))
            except Exception as error:
                raise self.translated(error) from None

        try:
            return attended(call, transfer, PATIENCE, lambda share: progress(share, f"downloading {file}"))
        except TimeoutError:
            raise self.unreachable(f"nothing came for {PATIENCE:g} s") from None

    def ask(self, call: Callable[[], T], seconds: float) -> T:
        """Run a call to the Hub, at most so long, and put its errors into our words."""
        try:
            return within(seconds, call)
        except TimeoutError:
            raise self.unreachable(f"no answer within {seconds:g} s") from None
        except Exception as error:
            raise self.translated(error) from None

    def translated(self, error: Exception) -> CheckpointError:
        """Return what an error of the Hub's client means to the user."""
        from huggingface_hub import errors

        said = {
            errors.GatedRepoError: "is gated on the Hub; log in with an account that has access",
            errors.RepositoryNotFoundError: f"is not on the Hub, or is private; {self.alternatives} can be used",
            errors.RevisionNotFoundError: f"has no revision {self.revision!r} on the Hub",
            errors.SafetensorsParsingError: f"has no valid safetensors file on the Hub: {reason(error)}",
        }
        for kind, words in said.items():
            if isinstance(error, kind):
                return CheckpointError(f"{self.hub_id!r} {words}")
        return error if isinstance(error, CheckpointError) else self.unreachable(reason(error))

    def unreachable(self, why: str) -> Unreachable:
        """Return the error that says what can be used instead."""
        there = f" (such as {', '.join(ids)})" if (ids := cached_ids()) else ""
        return Unreachable(
            f"{self.hub_id!r} is not (wholly) in the local cache, and the Hugging Face Hub cannot be reached ({why});"
            f" {self.alternatives}{there} can be used"
        )


def hub_source(given: str, revision: str | None, largest: int | None = None, local: bool = True) -> Source:
    """Find a model of the Hub, in the cache or on the network; raises CheckpointError."""
    hub_id, _, inside = given.partition("@")
    if revision and inside and revision != inside:
        raise CheckpointError(f"{given!r} names a revision, and so does revision={revision!r}; give one of them")
    wanted = revision or inside or None
    model = HubModel(hub_id, wanted or "main", local)
    config, weights = _from_cache(model) or _from_network(model, largest)
    refuse_larger(hub_id, weights.bytes, largest)
    return Source(hub_id, config, weights, lambda: tokenizer_folder(model), hub_id=hub_id, revision=wanted)


def _from_cache(model: HubModel) -> tuple[dict[str, Any], Weights] | None:
    folder = model.cached()
    if folder is None:
        return None
    try:
        return folder_config(folder, model.hub_id), folder_weights(folder, model.hub_id)
    except NoWeightsFound:
        return None


def _from_network(model: HubModel, largest: int | None) -> tuple[dict[str, Any], Weights]:
    sizes = model.info()
    if "config.json" not in sizes:
        raise CheckpointError(f"{model.hub_id}: no config.json lies beside the weights; it says which class to build")
    config = read_object(model.fetch("config.json"), f"{model.hub_id}: config.json")
    if "model.safetensors" in sizes or "model.safetensors.index.json" in sizes:
        return config, RemoteWeights(model, sizes, largest)
    # A torch file has no header that could be read from afar: it must come here first.
    files = _torch_files(model, sizes)
    refuse_larger(model.hub_id, sum(sizes[file] for file in files), largest)
    for file in files:
        model.fetch_large(file)
    return config, folder_weights(_folder(model), model.hub_id)


def _torch_files(model: HubModel, sizes: dict[str, int]) -> list[str]:
    if "pytorch_model.bin" in sizes:
        return ["pytorch_model.bin"]
    if "pytorch_model.bin.index.json" in sizes:
        shards = sorted(name for name in sizes if name.startswith("pytorch_model-") and name.endswith(".bin"))
        return ["pytorch_model.bin.index.json", *shards]
    raise NoWeightsFound(
        f"{model.hub_id} holds no weights on the Hub; model.safetensors or pytorch_model.bin is expected"
    )


class RemoteWeights:
    """Keep the headers of safetensors files that lie on the Hub; the files come when they are read."""

    def __init__(self, model: HubModel, sizes: dict[str, int], largest: int | None = None) -> None:
        """Ask for the headers alone; raises CheckpointError."""
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
            self.model.fetch_large(file, part_of(progress, number, len(files)))
        self._local = folder_weights(_folder(self.model), self.model.hub_id)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the downloaded files; none before they are fetched."""
        return tuple(getattr(self._local, "paths", ()))

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the downloaded files."""
        self.fetch()
        assert self._local is not None
        with self._local.reader() as read:
            yield read

    def same(self, one: str, other: str) -> bool:
        """Believe the config that two stored tensors are tied: comparing them would download them."""
        return True


def _shards(model: HubModel, index: str) -> tuple[str, ...]:
    names = sorted(set(shard_names(read_object(model.fetch(index), index), index).values()))
    if len(names) > MOST_SHARDS:
        raise CheckpointError(f"{model.hub_id} lies in {len(names)} files; at most {MOST_SHARDS} are read")
    return tuple(names)


def _remote_header(model: HubModel, file: str) -> tuple[TensorFact, ...]:
    from huggingface_hub import HfApi

    header = model.ask(
        lambda: HfApi().parse_safetensors_file_metadata(model.hub_id, file, revision=model.revision), SMALL
    )
    refuse_many(file, len(header.tensors))
    return tuple(
        stored_tensor(file, name, {"dtype": str(entry.dtype), "shape": list(entry.shape)})
        for name, entry in header.tensors.items()
    )


def tokenizer_folder(model: HubModel) -> Path | None:
    """Return the local folder with the tokenizer, fetched if it is not cached; raises CheckpointError."""
    folder = model.cached()
    if folder is not None and has_vocabulary(folder):
        return folder
    wanted = [file for file in model.info() if _is_tokenizer_file(file)]
    for file in wanted:
        folder = model.fetch(file).parent
    return folder


def _is_tokenizer_file(file: str) -> bool:
    return "/" not in file and any(Path(file).match(pattern) for pattern in (*VOCABULARIES, *SETTINGS))


def _folder(model: HubModel) -> Path:
    folder = model.cached()
    if folder is None:
        raise model.unreachable("the cache was emptied meanwhile")
    return folder
