"""English and Korean: labels that the browser translates; sentences, errors and notes that the server translates."""

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import bertprune as bp

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


def say_or(language: str, key: str, otherwise: str) -> str:
    """Return a text in a language; what the page has no text for, such as a method of one's own, as it names itself."""
    return texts(language).get(key, otherwise)


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


PAGE = "page."
"""What the codes of the page's own errors begin with; the rest is the key of the text."""
_LONGEST = 600
"""Characters of one error on the page: what a visitor typed is part of it."""


class LocalizedError(bp.BertpruneError):
    """An error of the page's own, written in `en.json` and `ko.json`. As text, and in the log, it is English."""

    def __init__(self, key: str, /, **values: Any) -> None:
        """Keep the key of the text and the values for its places."""
        super().__init__(texts("en")[key], code=PAGE + key, **values)

    def __str__(self) -> str:
        """Write the error in English."""
        return translate_error("en", self)

    def within(self, place: str, /, **values: Any) -> Self:
        """Return the error as it is: it needs no mention of the step of the library during which it was raised."""
        return self


def translate_error(language: str, message: object) -> str:
    """Write an error, a warning or a note in a language, in one line; in the library's words where the page has none.

    Args:
        language: `en` or `ko`.
        message: Anything with `code` and `values`; values may be such messages themselves, and `places` in front of it.
    """
    sentence = _sentence(language, getattr(message, "code", ""))
    if sentence is None:
        return _one_line(str(message))
    values = getattr(message, "values", {}).items()
    said = sentence.format(**{name: _translate_value(language, value) for name, value in values})
    places = (translate_error(language, place) for place in getattr(message, "places", ()))
    said = ": ".join([*places, said])
    return _one_line(with_particles(said) if language == "ko" else said)


@cache
def sentences(language: str) -> dict[str, str]:
    """Read the page's sentences for the library's errors, warnings and notes by code.

    All of them in Korean; in English those where the library advises what only the shell or Python has.
    """
    return dict(json.loads(Path(__file__).with_name(f"errors.{language}.json").read_text(encoding="utf-8")))


def _sentence(language: str, code: str) -> str | None:
    if code.startswith(PAGE):
        return texts(language).get(code.removeprefix(PAGE))
    return sentences(language).get(code)


def _translate_value(language: str, value: object) -> object:
    return translate_error(language, value) if hasattr(value, "code") and hasattr(value, "values") else value


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


_ENDS = {"0": "ㅇ", "1": "ㄹ", "3": "ㅁ", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ"}
"""The last consonant of the digits that have one, as they are read."""
_PARTICLES = {
    "은(는)": ("은", "는"),
    "이(가)": ("이", "가"),
    "을(를)": ("을", "를"),
    "와(과)": ("과", "와"),
    "과(와)": ("과", "와"),
    "(으)로": ("으로", "로"),
    "(이)라": ("이라", "라"),
}
"""After a consonant, and after a vowel."""
_AFTER_A_WORD = re.compile(rf"([가-힣\d])(['\"]?)({'|'.join(map(re.escape, _PARTICLES))})", re.ASCII)


def with_particles(text: str) -> str:
    """Choose the particles after Hangul and digits; after other letters, whose reading is not known, both stay."""
    return _AFTER_A_WORD.sub(_chosen, text)


def _chosen(found: re.Match[str]) -> str:
    letter, quote, particle = found.groups()
    end = _ENDS.get(letter, "") if letter.isdigit() else _last_consonant(letter)
    if particle == "(으)로" and end == "ㄹ":
        end = ""
    return letter + quote + _PARTICLES[particle][0 if end else 1]


def _last_consonant(syllable: str) -> str:
    at = (ord(syllable) - ord("가")) % 28
    return "" if at == 0 else "ㄹ" if at == 8 else "ㅇ"
