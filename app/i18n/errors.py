"""Errors, warnings and notes in the visitor's language, looked up by their code."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Self

import bertprune as bp

from . import texts

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
