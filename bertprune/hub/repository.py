"""One repository on the Hub: what stands there, what a push begins, and how that is taken back."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelInfo, get_token
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils._validators import validate_repo_id

from ..checkpoint.network import SMALL_FILE_TIMEOUT, uncut, with_timeout
from ..errors import ExportError, Message, kind_of, shown
from ..version import __version__
from .trouble import HubTrouble

UPLOAD_TIMEOUT, COMMIT_TIMEOUT = 60.0, 300.0
"""Seconds until an upload has begun, and for a commit, whose large files are there already."""
SLOWEST = 20_000
"""The bytes a second at which an upload is given up."""

CLEAN = ("exports.push_left_nothing", "exports.push_left_deleted")
"""The codes of what `undo` says where it has left nothing."""
KEPT = ".gitattributes"
"""The file of the Hub's own that says how others are stored."""
_EVERY_FILE = "# every file of the model goes\n"
"""Rules for files to ignore, lest those of the repository hold some back."""

T = TypeVar("T")


def check_name(repository: Any) -> None:
    """Refuse what is not the name of a repository. Raises ExportError."""
    try:
        validate_repo_id(repository)
        valid = isinstance(repository, str) and repository.isascii() and repository.count("/") == 1
    except HFValidationError:
        valid = False
    if not valid:
        raise ExportError(
            "{name} is not the name of a repository: expected org/name, or your own name/name, of letters, digits,"
            " -, _ and .",
            code="exports.push_name", name=shown(repository, 100),
        )  # fmt: skip


def login(token: Any) -> str:
    """Return the token that is given, or else that of the user's own login. Raises ExportError, without the token."""
    try:
        found = with_timeout(SMALL_FILE_TIMEOUT, get_token) if token is None else token
    except Exception as error:
        raise ExportError(
            "the login for the Hub cannot be read ({reason}): log in again",
            code="exports.push_login_unreadable", reason=type(error).__name__,
        ) from None  # fmt: skip
    if found is None:
        raise ExportError(
            "not logged in to the Hub: run `hf auth login`, or set HF_TOKEN", code="exports.push_not_logged_in"
        )
    if not isinstance(found, str) or not re.fullmatch(r"[!-~]+", found, re.ASCII):
        raise ExportError(
            "the token for the Hub is not one ({kind}): expected letters and digits without blanks, such as hf_…",
            code="exports.push_not_a_token", kind=kind_of(found),
        )  # fmt: skip
    return found


class HubRepository:
    """A repository as it was found, and what was begun there since."""

    def __init__(self, name: str, token: str) -> None:
        """Ask nothing yet."""
        self.name, self._token = name, token
        self._api = HfApi(token=token, library_name="bertprune", library_version=__version__)
        self.address = f"{self._api.endpoint}/{name}"
        self.files: frozenset[str] = frozenset()
        """What it held."""
        self.private = False
        self._head: str | None = None
        self._is_new = False
        self._is_pending = False
        """Whether a change was asked for, and not answered."""

    def open(self, private: bool, overwrite: bool) -> None:
        """Create the repository, or take the one that is there to `overwrite`. Raises HubTrouble, ExportError."""
        found = self._look()
        if found is None:
            self._create(private)
        elif not overwrite:
            raise self._taken()
        elif private and not found.private:
            raise ExportError(
                "{repository} is public, and a push does not change that: make it private on the Hub first",
                code="exports.push_public", repository=self.name,
            )  # fmt: skip
        else:
            self._head, self.files, self.private = found.sha, _files(found), bool(found.private)

    def upload(self, files: Sequence[CommitOperationAdd]) -> None:
        """Send the contents that the Hub keeps apart from a commit. Raises HubTrouble."""
        seconds = UPLOAD_TIMEOUT + sum(file.upload_info.size for file in files) // SLOWEST
        send = self._api.preupload_lfs_files
        try:
            self._ask(lambda: send(self.name, files, free_memory=False, gitignore_content=_EVERY_FILE), seconds)
        except HubTrouble as trouble:
            if not trouble.is_answer:
                self._look()  # the client waits where the Hub takes no more requests; asked plainly, the Hub says so
            raise

    def commit(self, files: Sequence[CommitOperationAdd], removed: Collection[str], title: str) -> str:
        """Put files in their places and remove others, at once; return the id of the commit. Raises HubTrouble."""
        changes: list[CommitOperationAdd | CommitOperationDelete] = [*files]
        changes += [CommitOperationDelete(file, is_folder=False) for file in sorted(removed)]
        send = self._api.create_commit
        self._is_pending = True
        try:
            done = self._ask(
                lambda: send(self.name, changes, commit_message=title, parent_commit=self._head), COMMIT_TIMEOUT
            )
        except HubTrouble as trouble:
            self._is_pending = not trouble.is_answer
            if self._is_pending and (landed := self._landed({file.path_in_repo for file in files})):
                return landed
            raise
        self._is_pending = False
        return str(done.oid)

    def undo(self) -> Message:
        """Delete what was created, and say what is left on the Hub."""
        if self._is_new:
            return self._delete()
        if self._is_pending:
            return Message(
                "whether the Hub has done it is not known: look at {address}",
                code="exports.push_left_unknown", address=self.address,
            )  # fmt: skip
        return Message("nothing was changed there", code="exports.push_left_nothing")

    def _create(self, private: bool) -> None:
        self._is_pending, self.private = True, private
        try:
            self._ask(lambda: self._api.create_repo(self.name, private=private), SMALL_FILE_TIMEOUT)
        except HubTrouble as trouble:
            self._is_pending = not trouble.is_answer
            if trouble.status == 409:  # one that this login may not see
                raise self._taken() from None
            raise
        self._is_pending, self._is_new = False, True

    def _delete(self) -> Message:
        try:
            self._ask(lambda: uncut(lambda: self._api.delete_repo(self.name, missing_ok=True)), SMALL_FILE_TIMEOUT)
        except HubTrouble as trouble:
            return Message(
                "the repository that was created for it could not be deleted again ({reason}): look at {address}, and"
                " delete it there",
                code="exports.push_left_there", reason=trouble.reason, address=self.address,
            )  # fmt: skip
        return Message("the repository that was created for it was deleted again", code="exports.push_left_deleted")

    def _taken(self) -> ExportError:
        return ExportError(
            "{repository} is already on the Hub; choose another name, or replace what it holds (overwrite=True,"
            " --overwrite)",
            code="exports.push_taken", repository=self.name,
        )  # fmt: skip

    def _look(self) -> ModelInfo | None:
        """Ask what stands there; None for nothing that this login can see. Raises HubTrouble."""

        def ask() -> ModelInfo | None:
            try:
                return uncut(lambda: self._api.model_info(self.name, timeout=SMALL_FILE_TIMEOUT))
            except RepositoryNotFoundError:
                return None

        return self._ask(ask, SMALL_FILE_TIMEOUT)

    def _landed(self, names: Collection[str]) -> str | None:
        """Return the id of a commit whose answer was lost, if it is there."""
        try:
            found = self._look()
        except HubTrouble:
            return None
        is_there = found is not None and found.sha != self._head and _files(found) == frozenset(names)
        return found.sha if found is not None and is_there else None

    def _ask(self, call: Callable[[], T], seconds: float) -> T:
        """Run a call to the Hub for at most so many seconds. Raises HubTrouble."""
        try:
            return with_timeout(seconds, lambda: _unclosed(call))
        except TimeoutError:
            reason = Message("no answer within {seconds:g} s", code="checkpoint.no_answer", seconds=seconds)
            trouble = HubTrouble(reason)
        except Exception as error:
            trouble = HubTrouble.of(_cause(error), self._token)
        raise trouble


def _files(found: ModelInfo) -> frozenset[str]:
    return frozenset(file.rfilename for file in found.siblings or ()) - {KEPT}


def _unclosed(call: Callable[[], T]) -> T:
    """Run a call once more where another thread closed the client that all share before anything was sent."""
    try:
        return call()
    except RuntimeError as error:
        if "closed" not in str(_cause(error)):
            raise
    return call()


def _cause(error: Exception) -> Exception:
    """Return what an upload failed with, which the client only names as the cause of its own error."""
    return error.__cause__ if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception) else error
