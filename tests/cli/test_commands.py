"""The commands that prune and write, and what all commands have in common."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from bertprune.recipe import Recipe

from .conftest import KEY, STEP, Terminal

COMMANDS = "tree inspect preview prune report evaluate speed sweep try export push methods app".split()
MINE = "import bertprune as bp\n\n\n@bp.method('mine')\ndef mine(weight):\n    return weight\n"
COUNTS = {"size", "masked", "zero", "alive", "sparsity"}


def test_help_lists_every_command_and_each_has_its_own(cli: Callable[..., Any]) -> None:
    result = cli("--help")
    summaries = result.out.partition("Commands:")[2]
    listed = [line.split()[0] for line in summaries.splitlines() if line.startswith("  ") and line[2] != " "]
    assert result.code == 0 and set(COMMANDS) <= set(listed)
    assert "..." not in summaries  # every summary fits on its line
    assert cli().code == 2
    for command in COMMANDS:
        result = cli(f"{command} --help")
        assert (result.code, result.err) == (0, "")
        assert f"Usage: bertprune {command} " in result.out and "\x1b" not in result.out
        assert cli(f"{command} -h").out == result.out


def test_the_version(cli: Callable[..., Any]) -> None:
    assert (cli("--version").code, cli("--version").out) == (0, f"bertprune {bp.__version__}\n")


def test_help_is_drawn_on_a_terminal(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from bertprune.cli import main

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["prune", "--help"]) == 0
    assert "A step, or --recipe" in terminal.getvalue()


@pytest.mark.usefixtures("here")
def test_preview(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bp.Checkpoint, "model", lambda self, seed=0: pytest.fail("a weight was read"))
    result = cli(f"preview tiny-0 {STEP}")
    assert result.code == 0
    assert result.out.splitlines()[1].split()[-4:] == ["2", "2,048", "512", "512"]
    steps = cli(f"preview tiny-0 {STEP} --json").json["steps"]
    assert [set(step) for step in steps] == [{"step", "targets", "weights", "removed", "needs_texts"}]
    assert steps[0]["removed"] == [512, 512] and len(steps[0]["targets"]) == 2


def test_prune_writes_a_folder_and_prints_its_files(cli: Callable[..., Any], here: Path) -> None:
    result = cli(f"prune tiny-0 {STEP} --out out")
    assert result.code == 0 and result.err == ""
    assert "pruned 512 of 2,048 weights in the selected tensors (25.00%)" in result.out
    size = (here / "out" / "model.safetensors").stat().st_size
    assert f"  model.safetensors: {size:,} bytes" in result.out and "\x1b" not in result.out
    assert Recipe.load(here / "out" / "recipe.yaml") == Recipe(
        steps=[
            bp.Step(
                method="l1_unstructured",
                fraction=0.25,
                select=bp.Selection(roles=["attention.key", "attention.query"], layers=[0]),
            )
        ]
    )


def test_prune_as_json(cli: Callable[..., Any], here: Path) -> None:
    found = cli(f"prune tiny-0 {STEP} --out out --seed 7 --json").json
    assert list(found) == ["checkpoint", "seed", "steps", "notes", "sparsity", "export"]
    assert (found["checkpoint"], found["seed"]) == ("tiny-0", 7)
    assert [set(step) for step in found["steps"]] == [{"step", "tensors", "alive_before", "removed"}]
    assert set(found["sparsity"]["total"]) == COUNTS and found["sparsity"]["total"]["masked"] == 512
    assert list(found["export"]) == ["path", "form", "bytes", "files", "checked", "loads", "drift"]
    assert found["export"]["bytes"] == sum(path.stat().st_size for path in (here / "out").iterdir())


def test_every_flag_reaches_the_recipe(cli: Callable[..., Any], here: Path) -> None:
    line = (
        "prune tiny-0 --out out --method ln_structured --count 2 --scope global --type Linear,Embedding"
        " --role ffn.output --role attention.key --layer 0-1 --include bert.* --include *encoder*"
        " --exclude *.0.*.{query,key} --exclude *.1.output* --tensor weight --option n=inf --option dim=0"
    )
    assert cli(line).code == 0
    (step,) = Recipe.load(here / "out" / "recipe.yaml").steps
    assert step == bp.Step(
        method="ln_structured",
        count=2,
        scope="global",
        options={"n": float("inf"), "dim": 0},
        select=bp.Selection(
            types=["Linear", "Embedding"],
            roles=["ffn.output", "attention.key"],
            layers=[0, 1],
            include=["bert.*", "*encoder*"],
            exclude=["*.0.*.{query,key}", "*.1.output*"],
        ),
    )


def test_a_recipe_file_prunes_as_flags_do(cli: Callable[..., Any], here: Path) -> None:
    cli(f"prune tiny-0 {STEP} --out flags")
    (here / "recipe.json").write_text(Recipe.load(here / "flags" / "recipe.yaml").to_json())
    assert cli("prune tiny-0 --recipe recipe.json --out file").code == 0
    for path in (here / "flags").iterdir():
        assert path.read_bytes() == (here / "file" / path.name).read_bytes()


def test_overwrite_replaces_an_export(cli: Callable[..., Any], here: Path) -> None:
    cli(f"prune tiny-0 {STEP} --out out")
    assert cli(f"prune tiny-0 {STEP} --out out").code == 2
    assert cli(f"prune tiny-0 {STEP} --out out --form masked --overwrite").code == 0
    assert (here / "out" / "masked.safetensors").exists() and not (here / "out" / "model.safetensors").exists()


def test_as_python_prints_a_script_and_nothing_else(cli: Callable[..., Any], here: Path) -> None:
    result = cli(f"prune tiny-0 {STEP} --as-python")
    assert result.code == 0
    compile(result.out, "script", "exec")
    assert "from torch.nn.utils import prune" in result.out and str(here) not in result.out
    assert sorted(path.name for path in here.iterdir()) == ["tiny-0"]
    assert cli(f"prune tiny-0 {STEP} --as-python --out out").out == result.out and (here / "out").is_dir()
    assert "import bertprune as bp" in cli(f"prune tiny-0 {STEP} --as-python --ours").out
    assert "give both, or neither" in cli(f"prune tiny-0 {STEP} --out more --ours").err
    assert "give one of them" in cli(f"prune tiny-0 {STEP} --as-python --json").err


def test_masked_folders_can_be_shown_and_baked(cli: Callable[..., Any], here: Path) -> None:
    cli(f"prune tiny-0 {STEP} --out masked --form masked")
    cli(f"prune tiny-0 {STEP} --out baked")
    assert "BertLayer" in cli("tree masked").out
    assert "L1Unstructured" in cli(f"inspect masked {KEY}").out
    result = cli("export masked later")
    assert result.code == 0 and "wrote later (baked)" in result.out
    assert (here / "later" / "model.safetensors").read_bytes() == (here / "baked" / "model.safetensors").read_bytes()
    assert list(cli("export masked again --json").json) == [
        "path",
        "form",
        "bytes",
        "files",
        "checked",
        "loads",
        "drift",
    ]
    assert cli("export masked later").code == 2 and cli("export masked later --overwrite").code == 0
    assert cli("export masked copy --form masked").code == 0
    assert (here / "copy" / "masked.safetensors").read_bytes() == (here / "masked" / "masked.safetensors").read_bytes()
    refused = cli("export tiny-0 more")
    assert refused.code == 2 and "has no masks" in refused.err


def test_a_masked_file_is_a_checkpoint_like_any_other(cli: Callable[..., Any], here: Path) -> None:
    source = "masked/masked.safetensors"
    cli(f"prune tiny-0 {STEP} --out masked --form masked")
    seen = cli(f"preview {source} {STEP} --json").json["steps"][0]
    done = cli(f"prune {source} {STEP} --out further --form masked --json").json
    assert seen["removed"] == [384, 384] and done["steps"][0]["removed"] == 384
    assert done["sparsity"]["total"]["masked"] == 896
    assert "L1Unstructured, L1Unstructured" in cli(f"inspect {source} {KEY} {STEP}").out
    assert cli(f"report {source} --json").json["total"]["masked"] == 512
    tried = cli("try", source, "the film was good", *STEP.split(), "--json").json
    assert tried["after_name"] == "masked, pruned"
    data = here / "rows.csv"
    data.write_text("text,label\nthe film was good,1\nbad plot,0\n")
    assert cli(f"evaluate {source} --data rows.csv --baseline tiny-0 --json").json["after_name"] == "masked"
    assert "# In bertprune" in cli(f"prune {source} {STEP} --as-python").out


def test_report_shows_the_zeros_of_a_baked_folder(cli: Callable[..., Any], here: Path) -> None:
    cli(f"prune tiny-0 {STEP} --out baked")
    for arguments in ("", " --by tensor"):
        lines = cli(f"report baked{arguments}").out.splitlines()
        assert any(f"{KEY}.weight" in line and "256 (25.00%)" in line for line in lines)
    layers = [line.split() for line in cli("report baked --by layer").out.splitlines()]
    assert ["0", "0.00%", "0"] in [cells[:3] for cells in layers]


def test_warnings_are_one_line(cli: Callable[..., Any], here: Path) -> None:
    config = json.loads((here / "tiny-0" / "config.json").read_text())
    config["architectures"] = ["BertForMaskedLM"]
    (here / "tiny-0" / "config.json").write_text(json.dumps(config))
    result = cli(f"prune tiny-0 {STEP} --out out")
    assert result.code == 0
    assert result.err.startswith("warning: tiny-0 lacks ") and result.err.count("\n") == 1


@pytest.mark.usefixtures("here")
def test_interrupted(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*given: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bp.Checkpoint, "model", interrupt)
    result = cli(f"prune tiny-0 {STEP} --out out")
    assert (result.code, result.out, result.err) == (130, "", "interrupted\n")
    assert not Path("out").exists()


def test_a_bar_is_drawn_on_a_terminal_and_removed(
    cli: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    result = cli(f"prune tiny-0 {STEP} --out out")
    assert result.code == 0 and "pruned 512" in result.out
    assert "reading" in terminal.getvalue()
    assert "reading" not in result.out


def test_an_unexpected_error_is_not_hidden(cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Any, revision: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bp.Checkpoint, "open", fail)
    with pytest.raises(ZeroDivisionError):
        cli("tree tiny-0")


def test_try_compares_both_models_on_one_sentence(cli: Callable[..., Any], here: Path) -> None:
    result = cli("try", "tiny-0", "the film was good", *STEP.split(), "--json")
    assert result.code == 0
    step = bp.Step(
        method="l1_unstructured",
        fraction=0.25,
        select=bp.Selection(roles=["attention.key", "attention.query"], layers=[0]),
    )
    run = bp.prune("tiny-0", step)
    assert result.json == json.loads(json.dumps(bp.try_text(run, "the film was good").to_dict()))
    assert cli(f"prune tiny-0 {STEP} --form masked --out masked").code == 0
    masked = cli("try", "masked", "the film was good", "--baseline", "tiny-0", "--json").json
    assert masked["answers"] == result.json["answers"]
    shown = cli("try", "tiny-0", "the film was good")
    assert "LABEL_0" in shown.out
    assert "before" not in shown.out
    assert cli("try", "tiny-0", " ").code == 2


@pytest.mark.usefixtures("temporary_methods")
def test_a_tilde_is_the_home_folder_in_every_path(
    cli: Callable[..., Any], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    (here / "mine.py").write_text(MINE)
    (here / "rows.csv").write_text("text,label\ngood,0\nbad,1\n")
    cli(f"prune tiny-0 {STEP} --out=~/once")
    for line in (
        "prune ~/tiny-0 --recipe=~/once/recipe.yaml --out=~/masked --form masked",
        "export ~/masked ~/baked",
        "report ~/masked --against=~/once",
        "methods --methods=~/mine.py",
        "evaluate ~/masked --data=~/rows.csv --baseline=~/tiny-0 --tokenizer=~/tiny-0",
        "tree ~/masked",
    ):
        assert (cli(line).code, line) == (0, line)
    assert not (here / "~").exists()


@pytest.mark.parametrize(("more", "loader"), [("", "transformers alone"), (" --layer 0", "transformers and bertprune")])
def test_the_small_form_says_what_it_loads_with(cli: Callable[..., Any], here: Path, more: str, loader: str) -> None:
    step = f"--method magnitude --granularity neuron --fraction 0.5{more}"
    assert f"exported with --form small it loads with {loader}" in cli(f"preview tiny-0 {step}").out
    assert "it loads with transformers alone" in cli("preview tiny-0 --method layer_change --count 1").out
    result = cli(f"prune tiny-0 {step} --out small --form small")
    assert result.code == 0 and f"loads with {loader}" in result.out
    assert cli("tree small").code == cli("report small").code == 0
    cli(f"prune tiny-0 {step} --out masked --form masked")
    assert cli("export masked later --form small").code == 0
    assert (here / "later" / "model.safetensors").read_bytes() == (here / "small" / "model.safetensors").read_bytes()
    assert "nothing can be taken out" in cli("export later again --form small").err
    half = cli("export small half --dtype float16").out
    assert ("loads with transformers and bertprune" in half) == bool(more)
    assert "parameters left" in cli("prune small --granularity layer --fraction 1 --layer 0 --out fewer").out
