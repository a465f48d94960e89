"""Korean particles, which depend on how the word before them ends: `5을(를)` becomes `5를`."""

import re

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
