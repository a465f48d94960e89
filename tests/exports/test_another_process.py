"""What only another process shows: exports load there without bertprune, and its first use there leaves no trace."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp

from .conftest import RECIPE
from .test_baked import INPUT, bits, everything, outputs

ROOT = Path(__file__).parents[2]
KINDS: dict[str, dict[str, Any]] = {
    "classifier": {},
    "masked-lm": {"model_cls": "BertForMaskedLM"},
    "bfloat": {"dtype": "bfloat16"},
    "distilbert": {"model_cls": "DistilBertForMaskedLM"},
    "sharded-pickle": {"sharded": True, "pickle": True},
}
STEP = bp.Step(method="l1_unstructured", fraction=0.25, select=bp.Selection(types=["Linear", "Embedding"]))

IN_TURN = """
import json, os, random, sys
import numpy, torch, transformers
torch.set_num_threads(1)

def states():
    numbers = numpy.random.get_state()
    return random.getstate(), numbers[1].tobytes(), numbers[2:], torch.get_rng_state().tolist()

def use_bertprune():
    import bertprune as bp
    from bertprune.cli import main
    step = bp.Step(method="random_unstructured", fraction=0.5, select="*.query")
    names = {}
    calls = {
        "open": lambda: bp.Checkpoint.open("tiny").load(),
        "preview": lambda: bp.preview("tiny", step),
        "prune": lambda: names.update(run=bp.prune("tiny", step)),
        "apply": lambda: bp.apply(bp.load("tiny"), step),
        "evaluate": lambda: bp.evaluate(names["run"], [("good", 1), ("bad", 0)]),
        "try_text": lambda: bp.try_text(names["run"], "good"),
        "export": lambda: bp.export(names["run"], "out", "masked"),
        "load": lambda: bp.bake(bp.load("out")),
        "compare": lambda: bp.compare(names["run"], names["run"]).to_dict(),
        "figures": lambda: bp.figures.png(bp.figures.heatmap(names["run"])),
        "to_frame": lambda: names["run"].report.to_frame(),
        "methods": lambda: bp.methods(),
        "the shell": lambda: main(["prune", "tiny", "--recipe", "recipe.yaml", "--out", "there"]),
    }
    changed = {}
    for name, call in calls.items():
        before = states()
        call()
        changed[name] = states() != before
    return changed

def load_without_bertprune():
    sys.modules["bertprune"] = None  # an import of it fails
    found = {}
    for folder in sys.argv[2:]:
        name = json.load(open(folder + "/config.json"))["architectures"][0]
        model = getattr(transformers, name).from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            found[folder] = model(input_ids=torch.tensor(json.loads(sys.argv[1])))[0].view(torch.int32).tolist()
    return found

for file, use in (("changed.json", use_bertprune), ("found.json", load_without_bertprune)):
    if os.fork() == 0:  # neither sees what the other did
        json.dump(use(), open(file, "w"))
        sys.stdout.flush()
        os._exit(0)
    assert os.wait()[1] == 0, file
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, copy_of_tiny: Callable[..., Path]) -> Path:
    """Give the folder in which both this process and, after it, another one have worked."""
    folder = tmp_path_factory.mktemp("process")
    (folder / "recipe.yaml").write_text(RECIPE.to_yaml())
    tiny = copy_of_tiny(folder / "tiny", model_cls="BertForSequenceClassification")
    bp.export(bp.prune(tiny, RECIPE), folder / "here")
    expected = {}
    for name, kind in KINDS.items():
        source = copy_of_tiny(folder / f"{name} source", **{"model_cls": "BertForSequenceClassification", **kind})
        run = bp.prune(source, STEP)
        bp.export(run, folder / name)
        expected[name] = bits(outputs(run.model))
    (folder / "expected.json").write_text(json.dumps(expected))
    command = [sys.executable, "-c", IN_TURN, json.dumps(INPUT.tolist()), *KINDS]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "77"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return folder


def read(file: Path) -> Any:
    return json.loads(file.read_text())


def test_exports_load_without_bertprune_and_give_the_runs_outputs(here: Path) -> None:
    assert read(here / "found.json") == read(here / "expected.json")


def test_the_shell_writes_the_same_bytes_in_another_process(here: Path) -> None:
    assert everything(here / "here") == everything(here / "there")


def test_the_first_use_of_each_function_leaves_the_global_random_state_alone(here: Path) -> None:
    changed = read(here / "changed.json")
    assert len(changed) == 13 and not any(changed.values()), changed
