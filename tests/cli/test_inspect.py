"""The commands that change nothing: tree, inspect, report, methods, evaluate."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bertprune.recipe import Recipe

from .conftest import KEY, STEP, Terminal


@pytest.mark.usefixtures("here")
def test_tree(cli: Callable[..., Any]) -> None:
    result = cli("tree tiny-0")
    assert result.code == 0 and "(0-1): 2 x BertLayer" in result.out and "\x1b" not in result.out
    assert "(0): BertLayer" in cli("tree tiny-0 --no-fold").out
    assert len(cli("tree tiny-0 --depth 1").out.splitlines()) < len(result.out.splitlines())
    assert "BertSelfAttention" in cli("tree tiny-0 encoder.layer.0.attention.self").out.splitlines()[1]


@pytest.mark.usefixtures("here")
def test_tree_as_json(cli: Callable[..., Any]) -> None:
    node = cli(f"tree tiny-0 {KEY} --json").json
    assert node == {
        "path": f"bert.{KEY}",
        "type": "Linear",
        "extra": "in_features=32, out_features=32, bias=True",
        "own_parameters": 1056,
        "parameters": 1056,
        "share": pytest.approx(node["share"]),
        "place": {"family": "bert", "layer": 0, "role": "attention.key", "uses": 1},
        "children": [],
    }
    whole = cli("tree tiny-0 --json --depth 1").json
    assert [child["path"] for child in whole["children"]] == ["bert", "dropout", "classifier"]
    assert whole["children"][0]["children"] == []


@pytest.mark.usefixtures("here")
def test_inspect(cli: Callable[..., Any]) -> None:
    result = cli(f"inspect tiny-0 {KEY}")
    assert result.code == 0 and "buffers: none" in result.out and "forward_pre_hooks: none" in result.out
    assert list(cli(f"inspect tiny-0 {KEY} --json").json) == ["now"]


@pytest.mark.usefixtures("here")
def test_inspect_before_and_after(cli: Callable[..., Any]) -> None:
    result = cli(f"inspect tiny-0 {KEY} {STEP}")
    before, after = result.out.removeprefix("before:\n").split("after:\n")
    assert "buffers: none" in before and "weight_mask" in after and "L1Unstructured" in after
    found = cli(f"inspect tiny-0 {KEY} {STEP} --json").json
    assert list(found) == ["before", "after"]
    assert set(found["after"]) == {"tensors", "hooks", "state_dict_keys"}


@pytest.mark.usefixtures("here")
def test_report(cli: Callable[..., Any]) -> None:
    cli(f"prune tiny-0 {STEP} --out masked --form masked")
    cli(f"prune tiny-0 {STEP} --out baked")
    result = cli("report masked")
    assert result.code == 0 and "25.00%" in result.out and "2 of its tensors have masks" in result.err
    assert cli("report masked --by role").out.splitlines()[1].split()[:5] == [
        "attention.query",
        *"25.00% 256 1,024 0".split(),
    ]
    assert cli("report masked --by layer").out.splitlines()[1].split()[:3] == ["0", "25.00%", "512"]
    found = cli("report masked --json").json
    assert set(found) == {"total", "model", "layers", "roles", "tensors"} and found["total"]["masked"] == 512
    assert cli("report baked").err.startswith("note: An export without masks")
    assert cli("report baked --json").json["total"]["size"] == 0


def test_report_is_a_drawn_table_on_a_terminal(
    cli: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bertprune.cli import main

    cli(f"prune tiny-0 {STEP} --out masked --form masked")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["report", "masked"]) == 0
    assert terminal.getvalue().count("┏") == 3 and "25.00%" in terminal.getvalue()


def test_methods(cli: Callable[..., Any]) -> None:
    result = cli("methods")
    assert result.code == 0 and "n=2, dim=-1" in result.out
    found = {method["name"]: method for method in cli("methods --json").json}
    assert {"l1_unstructured", "ln_structured", "random_structured", "random_unstructured"} <= set(found)
    words = {"name", "title", "summary", "paper", "removes", "granularities", "scopes", "needs_texts", "options"}
    assert set(found["ln_structured"]) == words
    assert found["wanda"]["needs_texts"] and not found["ln_structured"]["needs_texts"]
    assert set(found["ln_structured"]["options"]) == {"n", "dim"}


@pytest.mark.usefixtures("temporary_methods")
def test_methods_from_a_file(cli: Callable[..., Any], here: Path) -> None:
    (here / "mine.py").write_text(
        "import bertprune as bp\n\n"
        "@bp.method('mine')\n"
        "def mine(weight, *, power: float = 2.0):\n"
        "    '''Keep the largest powers.'''\n"
        "    return weight.abs() ** power\n"
    )
    assert "mine" in [method["name"] for method in cli("methods --methods mine.py --json").json]
    result = cli("prune tiny-0 --methods mine.py --method mine --option power=3.0 --count 4 --include *key --out out")
    assert result.code == 0 and "pruned 8 of 2,048" in result.out
    assert Recipe.load(here / "out" / "recipe.yaml").steps[0].options == {"power": 3.0}


def test_evaluate(cli: Callable[..., Any], here: Path) -> None:
    (here / "data.csv").write_text("text,label\n" + "the film was good,1\nboring plot,0\n" * 8)
    for form in ("masked", "baked"):
        cli(f"prune tiny-0 --method l1_unstructured --fraction 0.9 --type Linear --out {form} --form {form}")
        found = cli(f"evaluate {form} --baseline tiny-0 --data data.csv --json")
        assert found.code == 0, found.err
        assert {"task", "scores", "fidelity", "changed"} <= set(found.json) and found.json["examples"] == 16
    result = cli("evaluate masked --baseline masked --data data.csv --limit 4")
    assert result.code == 0 and "accuracy" in result.out
    assert result.out.startswith("masked -> masked: ")
    assert cli("evaluate masked --baseline baked --data data.csv --limit 4").out.startswith("baked -> masked: ")
    assert "4 of 16 rows were drawn by the seed" in cli("evaluate masked --data data.csv --sample 4").out
    first, second = (
        cli(f"evaluate {form} --baseline tiny-0 --data data.csv --json").json for form in ("masked", "baked")
    )
    assert first["scores"] == second["scores"] and first["fidelity"] == second["fidelity"]


@pytest.mark.usefixtures("here")
def test_report_against_another(cli: Callable[..., Any]) -> None:
    more = "--method l1_unstructured --fraction 0.5 --role attention.key --layer 0,1"
    cli(f"prune tiny-0 {STEP} --out first --form masked")
    cli(f"prune tiny-0 {more} --out second --form masked")
    cli(f"prune tiny-0 {more} --out baked")
    result = cli("report first --against second --by layer")
    assert result.code == 0 and result.err.count("tensors have masks") == 2
    assert [line.split() for line in result.out.splitlines()[1:3]] == [
        "0 25.00% 25.00% +0.00 pp".split(),
        "1 0.00% 50.00% +50.00 pp".split(),
    ]
    key = next(line for line in cli("report first --against second").out.splitlines() if "0.attention.self.key" in line)
    assert key.split()[1:] == "25.00% 50.00% +25.00 pp 256".split()
    found = cli("report first --against second --json").json
    assert found["tensors"][0]["both"] == 0 and found["total"]["difference"] == pytest.approx(512 / 3072)
    assert cli("report first --against baked").err.splitlines()[1].startswith("note: baked: An export without masks")
    assert cli("report first --against nowhere").code == 2
