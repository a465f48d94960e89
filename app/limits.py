"""What is too large or too long for the page: the limit, and what can be done instead."""

from typing import Any

from .i18n import say
from .i18n.errors import LocalizedError
from .settings import Settings
from .words import size_of


class LimitError(LocalizedError):
    """Something is larger or longer than the page accepts; a hosted page says how to do without the limit."""

    def __init__(self, key: str, settings: Settings, **values: Any) -> None:
        """Name the limit by the key of its text, without `limit_` in front."""
        hint = LocalizedError("limit_at_home", **_commands(settings)) if settings.hosted else ""
        super().__init__(f"limit_{key}", **values, hint=hint)


def upload_limit(language: str, settings: Settings) -> str:
    """Write the line beside the upload: how much is accepted, and how to run the page without that limit."""
    limit, hint = say(language, "limit_upload", most=size_of(settings.max_upload)), _commands(settings)
    return f"{limit} {say(language, 'limit_at_home', **hint)}"


def _commands(settings: Settings) -> dict[str, str]:
    """Give the two commands that start the page on a visitor's own machine, where its memory is the only limit."""
    folder = (settings.home or "").rstrip("/").rpartition("/")[2]
    return {"clone": f"git clone {settings.home}", "start": f"make -C {folder} app"}
