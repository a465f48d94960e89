"""Wrong input in each field: a clear answer in the visitor's language, and nothing of the server in it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.fields import put
from app.handlers import cost, model, recipe, results
from app.handlers.model import Wanted
from app.handlers.recipe import Form, option_fields
from app.plan import Plan
from app.presets import preset
from app.session import Done, Shelf, Source
from app.trouble import error_text

SHELF = Shelf()
EVERYWHERE: dict[str, Any] = {"where": "pattern", "include": "*"}

HUB = {
    "no id": {"hub_id": " "},
    "a path": {"hub_id": "../etc/passwd"},
    "unknown": {"hub_id": "no/such-model"},
    "revision": {"hub_id": "a/b", "revision": "one two"},
}
STEPS: dict[str, dict[str, Any]] = {
    "no fraction": {"percent": None},
    "fraction 0": {"percent": 0},
    "fraction 101": {"percent": 101},
    "fraction nan": {"percent": float("nan")},
    "no count": {"amount": "count"},
    "count 0": {"amount": "count", "count": 0},
    "count 1.5": {"amount": "count", "count": 1.5},
    "count inf": {"amount": "count", "count": float("inf")},
    "count too large": {"amount": "count", "count": 10**12},
    "no pattern": {"include": " "},
    "pattern of nothing": {"include": "no.such.module"},
    "pattern not closed": {"include": "{a,b"},
    "pattern without end": {"include": "{1..999999999}"},
    "tensor of nothing": {"tensor": "no such tensor"},
    "no roles": {"where": "roles"},
    "no types": {"where": "types"},
    "n": {"method": "ln_structured", "options": {"ln_structured": {"n": "abc", "dim": 0}}},
    "dim": {"method": "ln_structured", "options": {"ln_structured": {"n": 2, "dim": 7}}},
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
def done(tiny_folder: Callable[..., Path]) -> Done:
    return Done(Source(str(tiny_folder())), preset("global"))


def test_hub_id_and_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    for case in HUB:
        with subtests.test(case):
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            check(tmp_path, lambda: model.open_source(SHELF, Wanted("hub", **HUB[case]), Source()))


def test_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    for given in ["", "no/such/folder", "."]:
        with subtests.test(given):
            monkeypatch.chdir(tmp_path)
            check(tmp_path, lambda: model.open_source(SHELF, Wanted("folder", path=given), Source()))


def test_upload(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in [None, "broken.zip", "model.safetensors", "words.txt"]:
        with subtests.test(str(name)):
            files = []
            if name:
                (tmp_path / name).write_text("words")
                files = [str(tmp_path / name)]
            check(tmp_path, lambda: model.open_source(SHELF, Wanted("upload", files=files), Source()))


def test_the_fields_of_a_step(done: Done, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for case in STEPS:
        with subtests.test(case):
            form = Form(**{**EVERYWHERE, **STEPS[case]})
            check(tmp_path, lambda: recipe.add_step(SHELF, done.source, Plan(), form))
            assert "bp-refused" in recipe.look_ahead("ko", SHELF, done.source, Plan(), form)


def test_an_option_keeps_what_was_typed_and_the_preview_says_what_is_wrong(
    done: Done, subtests: pytest.Subtests
) -> None:
    for typed, wrong in [("½", True), ("-", True), ("inf", False), ("1e999", False)]:
        with subtests.test(typed):
            (n,) = [field for field in option_fields(bp.methods()["ln_structured"]) if field.name == "n"]
            options = put("ln_structured", n)({"ln_structured": {"dim": 0}}, typed)
            form = Form(**EVERYWHERE, tensor="weight", method="ln_structured", options=options)
            assert ("bp-refused" in recipe.look_ahead("ko", SHELF, done.source, Plan(), form)) == wrong


def test_seed(done: Done, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for seed in [None, -1, 0.5, 2.0**63, float("nan")]:
        with subtests.test(str(seed)):
            check(tmp_path, lambda: results.prune(SHELF, done.source, Plan(done.recipe), seed))


def test_yaml(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for case in YAML:
        with subtests.test(case):
            check(tmp_path, lambda: recipe.read_yaml(SHELF, Plan(), YAML[case]))


def test_yaml_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(YAML["broken"])
    check(tmp_path, lambda: recipe.open_yaml(SHELF, Plan(), str(tmp_path / "recipe.yaml")))


def test_evaluation_file(done: Done, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in [None, *FILES]:
        with subtests.test(str(name)):
            if name:
                (tmp_path / name).write_text(FILES[name])
            file = str(tmp_path / name) if name else None
            check(tmp_path, lambda: cost.measure(SHELF, done, "file", file))


def test_sentence(done: Done, tmp_path: Path, subtests: pytest.Subtests) -> None:
    for sentence in [" ", "\ud800", "아" * 2_000_000]:
        with subtests.test(repr(sentence)[:20]):
            check(tmp_path, lambda: cost.ask(SHELF, done, sentence, "", ""))


def test_tokenizer(done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests) -> None:
    for given in ["../x", "no-such-tokenizer"]:
        with subtests.test(given):
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
            check(tmp_path, lambda: cost.ask(SHELF, done, "good", "", given))
