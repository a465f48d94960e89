"""What the page does not take: the limit, and what can be done instead."""

from typing import Any

from .i18n import say
from .settings import Settings
from .spoken import SpokenError
from .words import size_of


class LimitError(SpokenError):
    """Something is larger or longer than the page takes."""

    prefix = "limit_"

    def __init__(self, key: str, settings: Settings, **values: Any) -> None:
        """Name the limit by its text's key, `limit_…`; numbers are written with their thousands."""
        self.settings = settings
        super().__init__(
            key, **{name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        )

    def said(self, language: str) -> str:
        """Say what the limit is; and on a hosted page how to do without it."""
        said = super().said(language)
        return f"{said} {at_home(language, self.settings)}" if self.settings.hosted else said


def at_home(language: str, settings: Settings) -> str:
    """Give the two commands that start the page on a visitor's own machine, where only its memory is the limit."""
    folder = (settings.home or "").rstrip("/").rpartition("/")[2]
    return say(language, "limit_at_home", clone=f"git clone {settings.home}", start=f"make -C {folder} app")


def upload_words(language: str, settings: Settings) -> str:
    """Say beside the upload what is taken."""
    said = say(language, "limit_upload", most=size_of(settings.max_upload))
    return f"{said} {at_home(language, settings)}"
