"""Push a folder to the Hugging Face Hub: a whole model in one commit, or nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from ..errors import ExportError
from ..parallel import Progress, check_progress, silent
from .parcel import pack
from .repository import CLEAN, HubRepository, check_name, login
from .trouble import HubTrouble

LARGE = 1_000_000
"""The bytes from which a file is sent by itself, so that a push can be cancelled before it."""


@dataclass(frozen=True)
class PushResult:
    """Where a model is on the Hub, and what went there; as text it is the address."""

    address: str
    """The page of the repository, such as https://huggingface.co/org/name."""
    repository: str
    private: bool
    commit: str
    """The id of the commit, which `revision` of `Checkpoint.open` takes."""
    files: dict[str, int]
    """Bytes by path."""
    left_out: tuple[str, ...] = ()
    """What else is in the folder, and does not belong to the model."""
    removed: tuple[str, ...] = ()
    """What the repository held before, and no longer holds; its history does."""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(self.files.values())

    def __str__(self) -> str:
        """Return the address."""
        return self.address


def push(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    overwrite: bool = False,
    token: str | None = None,
    progress: Progress = silent,
) -> PushResult:
    """Push a whole model with its card to the Hugging Face Hub in one commit, or leave nothing there.

    What goes are the files of the model, its card (README.md), and LICENSE and NOTICE files; anything else in the
    folder stays behind and is named in the result. Where `quality.json` or `speed.json` stand in the folder (what
    `to_dict()` of the reports of `evaluate` and `speed` gives, as JSON), their figures are a table of the card; the
    files themselves, which hold texts, are not pushed. Where a push fails or is cancelled, a repository that was
    created for it is deleted again, and if that fails too, the error says so. The folder is not changed.

    Args:
        folder: A folder that `export` wrote, in any form, or `save_pretrained` of transformers or
            sentence-transformers.
        repository: The name on the Hub, "org/name", where the first part may be your own name.
        private: Whether the new repository is private; default False. A public one is not made private.
        overwrite: Whether to replace what an existing repository holds: it then holds these files alone, and what
            it held before is in its history. Default False: a repository that exists is refused.
        token: A token of the Hub with the right to write; default None, that of the user's own login (`hf auth
            login`, or the environment variable HF_TOKEN). It is in no error, result or log.
        progress: Called with the share done (0 to 1) and a few words; it may raise to cancel between files.

    Returns:
        A `PushResult`: `address`, `repository`, `private`, `commit`, `files` and `bytes` (sizes), `left_out`, what
        else is in the folder, and `removed`, what the repository no longer holds. As text it is the address.

    Raises:
        ExportError: The folder holds no whole model, the name is wrong or taken, the login is missing or may not
            write there, the Hub has no room, takes no more requests or cannot be reached.

    Example:
        >>> import bertprune as bp
        >>> try:
        ...     bp.push("no/such/folder", "me/tiny")
        ... except bp.BertpruneError as error:
        ...     print(error)
        'no/such/folder' is not a folder: give the folder of an export, or one that save_pretrained wrote
    """
    check_progress(progress)
    check_name(repository)
    progress(0.0, "looking at the folder")
    parcel = pack(folder)
    files = parcel.operations()
    sizes = {name: file.upload_info.size for name, file in files.items()}
    hub = HubRepository(repository, login(token))
    try:
        progress(0.05, f"asking the Hub for {repository}")
        hub.open(private, overwrite)
        _upload(hub, files, progress)
        progress(0.95, f"committing {len(files)} files")
        removed = hub.files - files.keys()
        commit = hub.commit(list(files.values()), removed, f"Push {parcel.name} with bertprune")
    except HubTrouble as trouble:
        raise trouble.as_error(repository, sum(sizes.values()), hub.undo()) from None
    except BaseException:
        left = hub.undo()
        if left.code in CLEAN:
            raise
        raise ExportError(
            "{repository}: the push was stopped; {left}", code="exports.push_stopped", repository=repository, left=left
        ) from None
    progress(1.0, f"pushed {repository}")
    return PushResult(hub.address, repository, hub.private, commit, sizes, parcel.left_out, tuple(sorted(removed)))


def _upload(hub: HubRepository, files: Mapping[str, CommitOperationAdd], progress: Progress) -> None:
    """Send small files together and large ones one by one, the small ones first: they show whether it is allowed."""
    total, done = sum(file.upload_info.size for file in files.values()), 0
    for words, batch in _batches(files):
        progress(0.1 + 0.85 * done / max(1, total), f"uploading {words}")
        hub.upload(batch)
        done += sum(file.upload_info.size for file in batch)


def _batches(files: Mapping[str, CommitOperationAdd]) -> Iterator[tuple[str, list[CommitOperationAdd]]]:
    large = [name for name, file in files.items() if file.upload_info.size >= LARGE]
    if small := [file for name, file in files.items() if name not in large]:
        yield f"{len(small)} small files", small
    for name in large:
        yield f"{name} ({files[name].upload_info.size / 1e6:,.1f} MB)", [files[name]]
