"""Wrong input in each field: a clear answer in the visitor's language, and nothing of the server in it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.cards import Form, set_field
from app.errors import error_text
from app.making import key_of, previews
from app.offers import preset
from app.opening import open_given, open_upload
from app.runs import RunKey, Source
from app.store import Store
from app.tabs import cost, recipe
from app.tabs.model import opened
from app.visit import Visit, add_step

STORE = Store()
EVERYWHERE: dict[str, Any] = {"where": "pattern", "include": "*"}

HUB = {"nothing": " ", "a path": "..%2Fetc/passwd", "unknown": "no/such-model", "revision": "a/b@one two"}
STEPS: dict[str, dict[str, Any]] = {
    "no fraction": {"percent": ""},
    "fraction 0": {"percent": "0"},
    "fraction 101": {"percent": "101"},
    "fraction nan": {"percent": "nan"},
    "no count": {"amount": "count"},
    "count 0": {"amount": "count", "count": "0"},
    "count 1.5": {"amount": "count", "count": "1.5"},
    "count inf": {"amount": "count", "count": "inf"},
    "count too large": {"amount": "count", "count": str(10**12)},
    "no pattern": {"include": " "},
    "pattern of nothing": {"include": "no.such.module"},
    "pattern not closed": {"include": "{a,b"},
    "pattern without end": {"include": "{1..999999999}"},
    "tensor of nothing": {"tensor": "no such tensor"},
    "no roles": {"where": "roles"},
    "no types": {"where": "types"},
    "n": {"method": "ln_structured", "options": {"ln_structured": {"n": "abc", "dim": "0"}}},
    "dim": {"method": "ln_structured", "options": {"ln_structured": {"n": "2", "dim": "7"}}},
    "method": {"method": "no_such_method"},
}
YAML = {
    "none": " ",
    "broken": "a: [",
    "no recipe": "just words",
    "unknown key": "version: 1\nsteps:\n- method: l1_unstructured\n  fracton: 0.2\n",
    "fraction": "version: 1\nsteps:\n- method: l1_unstructured\n  fraction: 2\n",
}
FILES = {
    "none.csv": "",
    "columns.csv": "a,b\n1,2\n",
    "labels.csv": "text,label\ngood,maybe\n",
    "broken.jsonl": "{\n",
    "words.pdf": "good",
}


def check(where: Path, act: Callable[[], Any]) -> None:
    """See it refused in one line of Korean, with no path, no traceback and no name of a class."""
    with pytest.raises(bp.BertpruneError) as caught:
        act()
    said = error_text("ko", caught.value)
    assert 10 < len(said) < 1000, said
    assert not re.search(r"Traceback|File \"|Error\b|\bNone\b|pydantic|<class", said), said
    assert str(where) not in said and "/root" not in said and "/usr" not in said and "/tmp" not in said, said
    assert re.search("[가-힣]{2,}", re.split(r"(?<=[.!?]) ", said)[0]), said


@pytest.fixture
def done(tiny_folder: Callable[..., Path]) -> RunKey:
    return RunKey(Source(str(tiny_folder())), preset("global"))


@pytest.fixture
def visit(done: RunKey) -> Visit:
    return opened(STORE, Visit(language="ko"), done.source)


def test_hub_id_and_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for case, given in HUB.items():
        with subtests.test(case):
            check(tmp_path, lambda: open_given(STORE, given))


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ["./no/such/folder", "."]:
        with subtests.test(given):
            check(tmp_path, lambda: open_given(STORE, given))


def test_upload(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in [None, "broken.zip", "model.safetensors", "words.txt"]:
        with subtests.test(str(name)):
            files = []
            if name:
                (tmp_path / name).write_text("words")
                files = [str(tmp_path / name)]
            check(tmp_path, lambda: open_upload(STORE, files))


def test_the_fields_of_a_step(visit: Visit, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for case in STEPS:
        with subtests.test(case):
            wrong = add_step(visit, Form(**{**EVERYWHERE, **STEPS[case]}))
            (seen,) = previews(STORE, wrong)

            def refuse() -> None:
                raise seen

            check(tmp_path, refuse)
            assert "bp-bad" in recipe.show_cards(STORE, wrong)


def test_an_option_keeps_what_was_typed_and_the_card_says_what_is_wrong(
    visit: Visit, subtests: pytest.Subtests
) -> None:
    root = STORE.tree(visit.source)
    for typed, wrong in [("½", True), ("-", True), ("inf", False), ("1e999", False)]:
        with subtests.test(typed):
            form = Form(**EVERYWHERE, method="ln_structured", options={"ln_structured": {"dim": "0"}})
            card = add_step(visit, set_field(form, "option.n", typed, root))
            assert f'value="{typed}"' in recipe.show_cards(STORE, card)
            assert ("bp-bad" in recipe.show_cards(STORE, card)) == wrong


def test_seed(visit: Visit, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for seed in ["", "-1", "0.5", str(2**63), "nan", "1e30"]:
        with subtests.test(seed):
            wrong = recipe.take_seed(STORE, add_step(visit, Form(**EVERYWHERE)), {"value": seed})
            check(tmp_path, lambda: key_of(STORE, wrong))
    right = recipe.take_seed(STORE, add_step(visit, Form(**EVERYWHERE)), {"value": str(2**53 + 1)})
    assert key_of(STORE, right).seed == 2**53 + 1


def test_yaml(visit: Visit, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for case in YAML:
        with subtests.test(case):
            check(tmp_path, lambda: recipe.take_yaml(STORE, visit, {"yaml": YAML[case]}))


def test_evaluation_file(done: RunKey, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name, content in FILES.items():
        with subtests.test(name):
            (tmp_path / name).write_text(content)
            check(tmp_path, lambda: cost.evaluated(STORE, done, str(tmp_path / name), ""))


def test_sentence(done: RunKey, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for sentence in [" ", "\ud800", "아" * 2_000_000]:
        with subtests.test(repr(sentence)[:20]):
            check(tmp_path, lambda: cost.answers_of(STORE, done, sentence, "", ""))


def test_tokenizer(done: RunKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    for given in ["../x", "no-such-tokenizer"]:
        with subtests.test(given):
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            check(tmp_path, lambda: cost.answers_of(STORE, done, "good", "", given))
