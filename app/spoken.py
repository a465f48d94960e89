"""Errors of the page's own that are written in the visitor's language when they are shown."""

from typing import Any, ClassVar

import bertprune as bp

from .i18n import say


class SpokenError(bp.BertpruneError):
    """Something that the page does not take. As text, and in the log, it is English."""

    prefix: ClassVar[str]
    """What the keys of its texts begin with."""

    def __init__(self, key: str, **values: Any) -> None:
        """Name what is wrong by its text's key, without the prefix."""
        self.key, self.values = key, values
        super().__init__(self.said("en"))

    def said(self, language: str) -> str:
        """Say it in a language."""
        return say(language, self.prefix + self.key, **self.values)
