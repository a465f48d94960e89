"""What can go wrong on the way to the Hub, in one line each; no token is in any of them."""

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from ..checkpoint.json_files import first_line
from ..checkpoint.network import no_connection
from ..errors import ExportError, Message, shortened
from ..files import name_of

_NO_ROOM = re.compile("storage|quota|too large|payment", re.IGNORECASE)
_NOT_SENT = 400
"""The status of what fails before it is sent, as if it had been refused."""
_STATUS = re.compile(r"\b(40[0-9]|41[0-9]|429)\b")


class HubTrouble(Exception):
    """A request to the Hub that failed: what was answered, if anything was."""

    def __init__(self, reason: str | Message, status: int = 0, seconds: int | None = None) -> None:
        """Keep the words of the Hub, its status (0 for none), and the seconds after which to ask again."""
        super().__init__(str(reason))
        self.reason, self.status, self.seconds = reason, status, seconds

    @classmethod
    def of(cls, error: Exception, token: str) -> "HubTrouble":
        """Describe an error of the Hub's client, without the token."""
        if isinstance(error, OfflineModeIsEnabled):
            return cls(Message("offline mode is set", code="checkpoint.offline"))
        if (reason := no_connection(error)) is not None:
            return cls(reason)
        if isinstance(error, HfHubHTTPError):
            status = error.response.status_code
            words = error.server_message or f"{status} {error.response.reason_phrase}"
            return cls(_clean(words, token), status, _seconds(error.response.headers))
        if isinstance(error, FileNotFoundError | PermissionError):
            file = name_of(Path(str(error.filename)))
            return cls(Message("{file} can no longer be read", code="exports.push_file_gone", file=file), _NOT_SENT)
        return cls(_clean(_words(error), token), _status(error))

    @property
    def is_answer(self) -> bool:
        """Whether the Hub said no; without an answer it may have done what was asked."""
        return 400 <= self.status < 500

    def as_error(self, repository: str, size: int, left: Message) -> ExportError:
        """Return the error that says what is wrong, and what is left of the push."""
        given: dict[str, Any] = {"repository": repository, "left": left, "reason": self.reason}
        if self.status in (402, 413) or (self.is_answer and _NO_ROOM.search(str(self.reason))):
            return ExportError(
                "{repository}: the Hub has no room for {size:,} bytes ({reason}): free some there, or push a smaller"
                " form; {left}",
                code="exports.push_no_room", size=size, **given,
            )  # fmt: skip
        if self.status == 401:
            return ExportError(
                "{repository}: the Hub does not accept the token ({reason}): log in again; {left}",
                code="exports.push_token_refused", **given,
            )  # fmt: skip
        if self.status == 403:
            return ExportError(
                "{repository}: the Hub does not let this login write there ({reason}): choose a namespace that is"
                " yours and a token with the right to write, and see whether there is room left; {left}",
                code="exports.push_no_rights", **given,
            )  # fmt: skip
        return self._as_later_error(given)

    def _as_later_error(self, given: dict[str, Any]) -> ExportError:
        if self.status == 429:
            return ExportError(
                "{repository}: the Hub takes no more requests now: try again {when}; {left}",
                code="exports.push_too_often", when=_when(self.seconds), **given,
            )  # fmt: skip
        if self.status in (409, 412):
            return ExportError(
                "{repository} was changed on the Hub at the same time ({reason}): look at it, and push again; {left}",
                code="exports.push_changed", **given,
            )  # fmt: skip
        if self.is_answer:
            return ExportError("{repository}: the push failed ({reason}); {left}", code="exports.push_refused", **given)
        return ExportError(
            "{repository}: the Hub cannot be reached, or did not answer to the end ({reason}); {left}",
            code="exports.push_cut_off", **given,
        )  # fmt: skip


def _words(error: Exception) -> str:
    """Return what an error of the client says; the metadata of a card is refused over several lines."""
    if isinstance(error, ValueError):
        return " ".join(line.strip("- ") for line in str(error).strip().splitlines()[:3])
    return str(first_line(error)).partition(", domain:")[0]


def _status(error: Exception) -> int:
    """Return what the Hub answered where the client tells it in its own words alone; 0 for nothing."""
    if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
        return _NOT_SENT
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0


def _clean(words: str, token: str) -> str:
    return shortened(" ".join(words.replace(token, "…").split()), 200)


def _seconds(headers: Any) -> int | None:
    """Read after how many seconds the Hub answers again; its own header is `"api";r=0;t=55`."""
    found = re.search(r"r=0;\s*t=(\d{1,6})", headers.get("ratelimit", ""))
    found = found or re.fullmatch(r"\s*(\d{1,6})\s*", headers.get("retry-after", ""))
    return int(found[1]) if found else None


def _when(seconds: int | None) -> Message:
    if seconds is None:
        return Message("later", code="exports.push_later")
    return Message("in {seconds:,} seconds", code="exports.push_in_seconds", seconds=seconds)
