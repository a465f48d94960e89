"""Every error of the library and of the page is written in Korean too, by its code."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest
from pydantic_core.core_schema import ErrorType

import bertprune as bp
from app.i18n import LocalizedError, sentences, texts, translate_error, with_particles

HANGUL = re.compile("[가-힣]")
FIELD = "field."
"""What the codes of pydantic's messages begin with, in bertprune/validation.py."""


@cache
def library_sentences() -> dict[str, set[str]]:
    """Read from the library's source the English sentences of each code."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in Path(bp.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for node in nodes:
            code = next((one.value for one in getattr(node, "keywords", ()) if one.arg == "code"), None)
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                found[code.value] |= set(filter(None, (sentence(one, nodes) for one in node.args)))
    return {code: sentences for code, sentences in found.items() if code != "other"}


def sentence(argument: ast.expr, nodes: list[ast.AST]) -> str | None:
    """Give the text of an argument, or of the nearest variable of its name."""
    if isinstance(argument, ast.Constant):
        return argument.value if isinstance(argument.value, str) else None
    named = [
        node
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(argument, ast.Name) and isinstance(node.value, ast.Constant)
        if any(isinstance(target, ast.Name) and target.id == argument.id for target in node.targets)
    ]
    named.sort(key=lambda node: node.lineno)
    before = [node for node in named if node.lineno < argument.lineno]
    nearest = (before[-1:] or named[:1])[0].value if named else None
    return nearest.value if isinstance(nearest, ast.Constant) and isinstance(nearest.value, str) else None


def places(text: str) -> set[str]:
    """Give the names of the values that a text is filled in with."""
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(text) if name is not None}


def field_places() -> dict[str, set[str]]:
    """Give the values of pydantic's messages about a field, by the code under which the library passes them on."""
    return {FIELD + kind: {"ge", "gt", "le", "lt", "expected", "min_length"} for kind in get_args(ErrorType)}


def test_the_source_holds_a_sentence_for_each_code() -> None:
    assert [code for code, found in library_sentences().items() if not found] == []


def test_each_code_stands_with_one_sentence() -> None:
    assert {code: found for code, found in library_sentences().items() if len(found) > 1} == {}


def test_each_code_has_a_korean_sentence_and_no_sentence_is_left_over() -> None:
    shown = {code for code in library_sentences() if not code.startswith("cli.")}
    assert sorted(shown - sentences("ko").keys()) == []
    assert sorted(sentences("ko").keys() - shown - field_places().keys()) == []
    texts = {code: re.sub(r"\{.*?\}", "", text) for code, text in sentences("ko").items()}
    assert {code: text for code, text in texts.items() if re.search(r"\w", text) and not HANGUL.search(text)} == {}


def test_the_pages_sentences_fill_in_no_other_values(subtests: pytest.Subtests) -> None:
    for language in ["en", "ko"]:
        with subtests.test(language):
            known = {
                code: set().union(*map(places, found)) for code, found in library_sentences().items()
            } | field_places()
            assert {code: text for code, text in sentences(language).items() if not places(text) <= known[code]} == {}


def test_sentences_are_sorted_by_their_codes(subtests: pytest.Subtests) -> None:
    for language in ["en", "ko"]:
        with subtests.test(language):
            assert list(sentences(language)) == sorted(sentences(language))


def test_the_page_never_advises_a_flag_of_the_shell() -> None:
    library = {code: "".join(found) for code, found in library_sentences().items() if not code.startswith("cli.")}
    flag = re.compile(r"(?<!\w)--[a-z]")
    for language in ("en", "ko"):
        shown = {**library, **sentences(language)}
        assert {code: text for code, text in shown.items() if flag.search(text)} == {}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the Korean sentences, to which a test may add."""
    added = {"a": "{name}에 문제가 있습니다", "step": "{step}번째 단계"}
    monkeypatch.setattr("app.i18n.sentences", lambda language: added if language == "ko" else {})
    return added


@pytest.mark.usefixtures("known")
def test_an_error_is_translated_with_the_errors_that_it_contains() -> None:
    inner = bp.BertpruneError("{name} is wrong", code="a", name="x")
    outer = inner.within("step {step}", code="step", step=2)
    assert translate_error("ko", outer) == "2번째 단계: x에 문제가 있습니다"
    assert translate_error("en", outer) == "step 2: x is wrong"
    assert translate_error("ko", LocalizedError("cost_still", error=inner, data="t.csv")) == texts("ko")[
        "cost_still"
    ].format(error="x에 문제가 있습니다", data="t.csv")


@pytest.mark.usefixtures("known")
def test_warnings_are_translated_as_errors_are() -> None:
    warning = bp.NoEffectWarning("{name} is wrong", code="a", name="x")
    assert translate_error("ko", warning) == "x에 문제가 있습니다"


@pytest.mark.usefixtures("known")
def test_an_unknown_code_is_in_english() -> None:
    assert translate_error("ko", bp.BertpruneError("new: {name}", code="b", name="x")) == "new: x"
    assert translate_error("ko", "a plain text") == "a plain text"


@pytest.mark.usefixtures("known")
def test_values_are_never_templates_and_the_line_stays_short(subtests: pytest.Subtests) -> None:
    for language in ["en", "ko"]:
        with subtests.test(language):

            def line(name: Any) -> str:
                return translate_error(language, bp.BertpruneError("{name} is wrong", code="a", name=name))

            assert "{number} {0.__class__}" in line("{number} {0.__class__}")
            assert line("a\n\n# b").startswith("a # b")
            assert len(line("x" * 200_000)) <= 600


PARTICLES = [
    ("dim 5을(를)", "dim 5를"),
    ("레이어 99이(가)", "레이어 99가"),
    ("10은(는) 3와(과)", "10은 3과"),
    ("'평점'이(가) '점수'을(를)", "'평점'이 '점수'를"),
    ("서울(으)로, 부산(으)로, 1(으)로, 6(으)로", "서울로, 부산으로, 1로, 6으로"),
    ("[0, 1](이)라고 2(이)라고", "[0, 1](이)라고 2라고"),
    ("weight이(가)", "weight이(가)"),
]


def test_particles_fit_the_word_before_them(subtests: pytest.Subtests) -> None:
    for written, meant in PARTICLES:
        with subtests.test(written):
            assert with_particles(written) == meant


def test_particles_are_chosen_in_errors() -> None:
    error = bp.BertpruneError("", code="selection.unknown_layer", given=99, known="0, 1")
    assert translate_error("ko", error) == "모델에 레이어 99가 없습니다. 있는 레이어: 0, 1"


def test_a_step_is_named_in_korean_throughout(tiny_bert: Any) -> None:
    select = bp.Selection(roles="ffn.output", layers=[0], tensor="weight")
    step = bp.Step(method="obs", granularity="neuron", fraction=0.5, reconstruct=True, select=select)
    with pytest.raises(bp.BertpruneError) as caught:
        bp.apply(tiny_bert, step)
    said = translate_error("ko", caught.value)
    assert said.startswith(
        "역할 ffn.output; 레이어 0 대상 obs 0.5 뉴런 지역, 남는 가중치 조정 단계에는 보정용 텍스트가"
    )
    assert str(caught.value).startswith(f"{step} needs calibration texts")
    with pytest.warns(bp.NoEffectWarning) as warned:
        bp.prune("demo", [bp.Step(method="l1_unstructured", fraction=1.0, select="*.query")] * 2)
    said = translate_error("ko", warned[0].message)
    assert said == "포함 *.query 대상 l1_unstructured 1.0 지역: 가지치기된 가중치가 없습니다"


GOOD = {"method": "l1_unstructured", "count": 1}
WRONG: dict[str, tuple[Any, str]] = {
    "a scope": (
        {**GOOD, "scope": "all"},
        "2번째 단계, scope: 다음 가운데 하나여야 합니다: 'local', 'row', 'global'(입력: 'all')",
    ),
    "a step": (3, "2번째 단계: 이름과 값의 쌍이어야 합니다(입력: 3)"),
    "a fraction": ({"method": "x", "fraction": 2}, "2번째 단계, fraction: 1 이하여야 합니다(입력: 2)"),
    "layers": (
        {**GOOD, "select": {"layers": "0-1"}},
        "2번째 단계, select.layers: 정수의 목록이어야 합니다. '0-1' 대신",
    ),
    "an option": (
        {**GOOD, "method": "ln_structured", "options": {"dim": 0, "n": "x"}},
        "2번째 단계: ln_structured의 n 옵션: 정수여야 합니다. 아니면 수여야 합니다. 아니면 다음 가운데 하나여야",
    ),
    "a name": ({**GOOD, "method": "l1_unstructurd"}, "2번째 단계: 'l1_unstructurd': 없는 방법입니다."),
}


def test_a_mistake_in_the_second_step_is_in_korean_throughout(subtests: pytest.Subtests) -> None:
    for name in WRONG:
        with subtests.test(name):
            step, said = WRONG[name]
            with pytest.raises(bp.BertpruneError) as caught:
                bp.preview("demo", {"steps": [{**GOOD, "select": "*.query"}, step]})
            assert translate_error("ko", caught.value).startswith(said)
