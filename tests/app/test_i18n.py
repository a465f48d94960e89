"""English and Korean have the same texts, and every text that the page uses exists."""

import json
import re
from pathlib import Path
from string import Formatter

import pytest

import app
from app.i18n import LANGUAGES, for_gradio, label, language_of, say, texts

SOURCES = sorted(Path(app.__file__).parent.rglob("*.py"))


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys_sorted() -> None:
    assert list(texts("en")) == list(texts("ko")) == sorted(texts("en"))


def test_both_languages_fill_in_the_same_values() -> None:
    for key, text in texts("en").items():
        assert places(text) == places(texts("ko")[key]), key


def test_korean_is_korean_and_english_is_not() -> None:
    hangul = re.compile("[가-힣]")
    same = {
        "preview_range",
        "words_zero",
        "loads_short_plain",
        "loads_short_bertprune",
        "loads_short_anywhere",
        "run_and",
    }
    assert {key for key, text in texts("ko").items() if not hangul.search(text)} == same
    assert not [key for key, text in texts("en").items() if hangul.search(text)]


def test_no_key_is_given_twice() -> None:
    for language in LANGUAGES:
        path = Path(app.__file__).parent / "i18n" / f"{language}.json"
        pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names))


def test_every_key_in_the_code_is_known_and_every_known_key_is_used() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    asked = set(re.findall(r"""(?:label\(|say\([\w.]+, )["']([a-z0-9_]+)["']""", code))
    assert asked <= set(texts("en"))
    words = set(re.findall(r"""["']([a-z0-9_]+)["']""", code))
    starts = tuple(word for word in words if word.endswith("_"))
    composed = [
        re.escape(one or other) for one, other in re.findall(r"""f"([a-z_]+_\{[^"]*)"|f'([a-z]+_\{[^']*)'""", code)
    ]
    patterns = [re.compile(re.sub(r"\\\{.*?\\\}", "(.+)", found)) for found in composed]
    unused = [
        key
        for key in texts("en")
        if key not in words and not key.startswith(starts) and not any(pattern.fullmatch(key) for pattern in patterns)
    ]
    assert unused == []


def test_a_label_must_be_known() -> None:
    with pytest.raises(KeyError, match="no_such_text"):
        label("no_such_text")


def test_keys_are_prefixed_so_that_gradio_has_no_texts_of_the_same_names() -> None:
    handed = for_gradio().translations_dict
    assert set(handed) == {"en", "ko"}
    assert [key for key in handed["ko"] if not key.startswith("bp_")] == ["common.complete"]
    assert label("prune").key in handed["ko"]


TAGS = [("ko", "ko"), ("ko-KR", "ko"), ("en-US", "en"), ("fr", "en"), (None, "en"), ("", "en")]


def test_the_browsers_language_is_the_default(subtests: pytest.Subtests) -> None:
    for tag, language in TAGS:
        with subtests.test(str(tag)):
            assert language_of(tag) == language


def test_values_are_filled_in() -> None:
    assert say("en", "steps_remove", number=3) == "Remove step 3"
    assert say("ko", "steps_remove", number=3) == "3단계 지우기"
