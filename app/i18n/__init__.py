"""English and Korean: labels that the browser translates, and sentences that the server translates."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradio.i18n import I18n, I18nData

LANGUAGES = {"en": "English", "ko": "한국어"}
_PREFIX = "bp_"  # without it, a key that Gradio knows too (plot, file, label …) is shown as [object Object]

_LACKING = {"common.complete": "status_complete"}
"""Texts that Gradio looks up and does not have."""


@cache
def texts(language: str) -> dict[str, str]:
    """Read one language's texts by key."""
    path = Path(__file__).with_name(f"{language}.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def language_of(tag: str | None) -> str:
    """Choose the page's language for a browser's language tag such as `ko-KR`."""
    return "ko" if (tag or "").lower().startswith("ko") else "en"


def say(language: str, key: str, /, **values: Any) -> str:
    """Return a text in a language, with its {places} filled in."""
    return texts(language)[key].format(**values)


def gradio_texts() -> dict[str, list[str]]:
    """Return the texts that Gradio has in English only, by language; one that ends with a blank is a prefix."""
    return {code: [text for key, text in texts(code).items() if key.startswith("theirs_")] for code in LANGUAGES}


def label(key: str) -> "I18nData":
    """Return a text that the browser translates; the key must be known."""
    from gradio.i18n import I18nData

    if key not in texts("en"):
        raise KeyError(f"no text is called {key!r}")
    return I18nData(_PREFIX + key)


def for_gradio(filled: dict[str, dict[str, str]] | None = None) -> "I18n":
    """Pass all texts to Gradio's own translation; `filled` has, by language, those whose places are filled in."""
    from gradio.i18n import I18n

    known = {code: {**texts(code), **(filled or {}).get(code, {})} for code in LANGUAGES}
    handed = {code: {_PREFIX + key: text for key, text in known[code].items()} for code in LANGUAGES}
    for code, own in handed.items():
        own.update({theirs: texts(code)[ours] for theirs, ours in _LACKING.items()})
    return I18n(**handed)
