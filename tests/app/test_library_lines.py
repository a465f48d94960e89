"""What the library refuses is told in Korean: its commonest lines, as it really words them."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from app.i18n import retelling
from app.i18n.retelling import _PLACE, _lines, retold

HANGUL = re.compile("[가-힣]")
STEP = "version: 1\nsteps:\n- method: l1_unstructured\n  "
HALF = STEP + "fraction: 0.5\n  "
SLICES = "version: 1\nsteps:\n- method: ln_structured\n  fraction: 0.5\n  "
TOO_MANY = HALF.strip() + "\n  select: '*.0.*.key'\n- method: l1_unstructured\n  count: 600\n  select: '*.0.*.key'"


@pytest.fixture
def tiny(tiny_folder: Callable[..., Path]) -> Path:
    return tiny_folder()


def refusal(work: Callable[[], Any]) -> str:
    with pytest.raises(bp.BertpruneError) as caught:
        work()
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    "text",
    [
        "steps: [", "just text", "a: 1\na: 2", "a: &x 1", "a: !x 1", "version: 2\nsteps: []",
        STEP + "fraction: 1.5", STEP + "fraction: 0", STEP + "fraction: half", HALF + "count: 3",
        STEP + "count: 1.5", STEP + "count: 0", HALF + "amount: 3", HALF + "scope: all",
        HALF + "select: {roles: [attention.quer]}", "version: 1\nsteps:\n- fraction: 0.5",
    ],
)  # fmt: skip
def test_yaml_that_is_no_recipe(text: str) -> None:
    line = refusal(lambda: bp.Recipe.from_yaml(text))
    assert HANGUL.search(retold("ko", line)), line


@pytest.mark.parametrize(
    "text",
    [
        HALF.replace("l1_", "l9_"), HALF.replace("l1_unstructured", "magic"), HALF + "options: {n: 2}",
        SLICES + "options: {n: 2, dim: 1, p: 1}", SLICES + "options: {dim: x}", SLICES + "options: {dim: 5}",
        SLICES + "options: {dim: 0}\n  select: {tensor: bias, include: '*'}",
        HALF + "select: encoder.layer.0.atention.*", HALF + "select: qqqq", HALF + "select: bert.encoder",
        HALF + "select: {layers: [77]}",
        HALF + "select: {types: [Conv2d]}", HALF + "select: {tensor: kernel}",
        HALF + "select: {roles: [pooler], layers: [0]}", STEP + "count: 99999999", TOO_MANY,
        SLICES.replace("fraction: 0.5", "count: 99999999") + "options: {dim: 0}",
    ],
)  # fmt: skip
def test_a_step_that_does_not_fit(text: str, tiny: Path) -> None:
    line = refusal(lambda: bp.prune(tiny, bp.Recipe.from_yaml(text)))
    assert HANGUL.search(retold("ko", line)), line


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "foo,bar\n1,2\n"), ("b.csv", "text,label\n"), ("c.xlsx", "PK"),
        ("d.csv", "text,label\nfine,0\nbad,\n"),
        ("e.csv", "text,label\nfine,banana\n"), ("f.csv", "text,label\nfine,1,3\n"), ("g.jsonl", "xx"),
        ("h.csv", "text,label\n,\n"), ("i.csv", 'text,label\n"fine,1\n'), ("j.csv", "text,text\na,b\n"),
        ("k.csv", "text,label\n좋음,1\n"),
    ],
)  # fmt: skip
def test_a_file_to_measure_on(name: str, content: str, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="cp949")
    run = bp.prune(tiny, bp.Recipe.from_yaml(HALF), seed=0)
    line = refusal(lambda: bp.evaluate(run, file))
    assert HANGUL.search(retold("ko", line)), line


def test_a_checkpoint_that_cannot_be_read(tmp_path: Path) -> None:
    lines = [refusal(lambda: bp.Checkpoint.open(tmp_path)), refusal(lambda: bp.Checkpoint.open(tmp_path / "none"))]
    (tmp_path / "model.safetensors").write_bytes(b"xx")
    lines.append(refusal(lambda: bp.Checkpoint.open(tmp_path)))
    (tmp_path / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    lines.append(refusal(lambda: bp.Checkpoint.open(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes((8).to_bytes(8, "little") + b"{broken}")
    lines.append(refusal(lambda: bp.Checkpoint.open(tmp_path)))
    lines.append(refusal(lambda: bp.Checkpoint.open("kobert-shape").tokenizer()))
    assert [line for line in lines if not HANGUL.search(retold("ko", line))] == []


def test_what_was_entered_stays_in_the_line() -> None:
    assert "{x}" in retold("ko", "'{x}' matches no module with a weight; the model has a, b")


def test_other_lines_and_english_stay_as_they_are() -> None:
    assert retold("ko", "something new") == "something new"
    line = "a.csv has no examples: expected at least one row"
    assert retold("en", line) == line


def test_nothing_is_filled_in_that_the_line_does_not_hold() -> None:
    for pattern, told in _lines("ko").items():
        assert set(_PLACE.findall(told)) <= set(pattern.groupindex), told


PUT_TOGETHER = ("entries can be alive", "slices can be alive", "the header is not JSON")
PYDANTIC = re.compile("Input should be|Extra inputs|Field required|should be a valid integer")


def test_every_line_is_worded_as_the_library_words_it_today() -> None:
    """Each clause between two places stands in the library's source."""
    sources = [path.read_text(encoding="utf-8") for path in Path(bp.__file__).parent.rglob("*.py")]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    words = {node.value for node in nodes if isinstance(node.value, str)}
    known = "\n".join({re.sub(r"\{\w*\}", "\n", text) for text in words})
    lines = json.loads(Path(retelling.__file__).with_name("retelling.ko.json").read_text(encoding="utf-8"))
    lost = [
        (line, part)
        for line in lines
        if not PYDANTIC.search(line)
        for part in re.split(r"\{\w+\}|[:;,(?]", line)
        if part.strip(" ;,()=") not in known and part.strip() not in PUT_TOGETHER
    ]
    assert not lost, lost
