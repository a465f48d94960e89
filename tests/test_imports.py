"""What must stay light stays light: asking for help or reading a recipe costs neither torch nor transformers."""

import subprocess
import sys
from pathlib import Path

import pytest

import bertprune as bp

HEAVY = ("torch", "transformers", "pandas", "matplotlib", "seaborn", "sklearn", "scipy", "gradio", "huggingface_hub")

PUBLIC = """
BertpruneError Checkpoint Comparison ModuleNode NoEffectWarning PruningRun QualityReport Recipe Selection Snapshot
SparsityReport Step TextReport TooLargeError __version__ apply bake compare evaluate export figures load method
methods preview prune snapshot sparsity tree try_text
""".split()


def heavy_after(code: str) -> list[str]:
    """Run code in an interpreter of its own and tell which heavy packages it loaded."""
    tell = f"\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + tell], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return list(eval(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import bertprune",
        "import bertprune as bp; dir(bp); bp.__version__",
        "import bertprune as bp; bp.BertpruneError, bp.NoEffectWarning",
        "from bertprune import Recipe; Recipe.from_yaml('steps: [{method: l1_unstructured, fraction: 0.2}]').to_json()",
        "import bertprune.cli",
        """
import sys, bertprune.cli
sys.argv = ["bertprune", "--help"]
try: bertprune.cli.main()
except SystemExit as end: assert not end.code, end.code
""",
        """
import sys, bertprune.cli
sys.argv = ["bertprune", "prune", "--help"]
try: bertprune.cli.main()
except SystemExit as end: assert not end.code, end.code
""",
    ],
    ids=["import", "dir", "errors", "recipe", "cli", "help", "prune-help"],
)
def test_light(code: str) -> None:
    assert heavy_after(code) == []


def test_the_probe_sees_what_is_heavy() -> None:
    assert "pandas" in heavy_after("import pandas")


def test_the_contents_page_is_complete() -> None:
    assert sorted(PUBLIC) == bp.__all__
    assert dir(bp) == bp.__all__


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_explained(name: str) -> None:
    thing = getattr(bp, name)
    assert name == "__version__" or (thing.__doc__ or "").strip(), f"{name} has no docstring"


def test_type_checkers_see_the_same_names() -> None:
    source = Path(bp.__file__).read_text(encoding="utf-8")
    seen = {line.split(" as ")[-1].strip() for line in source.splitlines() if line.startswith("    from .")}
    assert seen == {*PUBLIC} - {"__version__"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'prnue'.*prune"):
        bp.prnue  # noqa: B018


def test_pruning_a_plain_model_does_not_load_the_compiler_of_torch():
    code = """
import sys, torch, bertprune as bp
bp.apply(torch.nn.Linear(3, 3), bp.Step(method="l1_unstructured", count=1, select="*"))
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "False\n"
