"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a few words; may raise to cancel, and then nothing is left half done."""


def silent(share: float, words: str) -> None:
    """Take note of progress and tell nobody."""
