"""Models of the Hugging Face Hub: the local cache first, then the network, always with a timeout."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import CheckpointError, Message, shortened
from ..parallel import Progress, silent
from .json_files import first_line
from .network import (
    CONNECT_TIMEOUT,
    SMALL_FILE_TIMEOUT,
    STALL_TIMEOUT,
    Transfer,
    Unreachable,
    bar_class,
    cached_ids,
    no_connection,
    uncut,
    watched,
    with_timeout,
)
from .sentence_modules import MODULES_FILE, transformer_path

LARGEST_SMALL = 64 * 1024 * 1024
"""The largest config or tokenizer file that is downloaded, in bytes."""
_FIRST_FILES = ("config.json", MODULES_FILE)
"""What is requested of a model before anything else; a transformer in a folder of its own has its config there."""

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
        """Return the local snapshot's folder, if at least its config or its list of modules is in the cache."""
        from huggingface_hub import try_to_load_from_cache

        found = (try_to_load_from_cache(self.hub_id, file, revision=self.revision) for file in _FIRST_FILES)
        return next((Path(path).parent for path in found if isinstance(path, str)), None)

    def subfolder(self) -> str:
        """Return in which folder its transformer is, empty for the top, as far as is cached; raises CheckpointError.

        Listing the model's files caches what this is read from.
        """
        folder = self.cached()
        return "" if folder is None else transformer_path(folder, self.hub_id)

    def path(self, name: str) -> str:
        """Return the path of a file that is beside the transformer."""
        return "/".join(filter(None, (self.subfolder(), name)))

    def list_files(self) -> dict[str, int]:
        """Ask the Hub for the bytes of each file by path; raises CheckpointError within 3 seconds if it cannot."""
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
        if MODULES_FILE in self.sizes:
            self.fetch(MODULES_FILE)
        return self.sizes

    def transformer_files(self) -> dict[str, int]:
        """Ask the Hub for the bytes of each file beside the transformer, by name; raises CheckpointError."""
        split = {path: path.rpartition("/") for path in self.list_files()}
        home = self.subfolder()
        return {name: self.sizes[path] for path, (folder, _, name) in split.items() if folder == home}

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
                return Path(uncut(lambda: hf_hub_download(self.hub_id, file, revision=self.revision, tqdm_class=bar)))
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
            return with_timeout(seconds, lambda: uncut(call))
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
        return self.unreachable(no_connection(error) or first_line(error))

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
