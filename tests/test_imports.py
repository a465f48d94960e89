"""Imports: no circle between files, nothing heavy before it is needed, and a complete contents page."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bertprune as bp

PACKAGE = Path(bp.__file__).parent
HEAVY = (
    *("torch", "torch._dynamo", "transformers", "pandas", "matplotlib", "seaborn", "sklearn", "scipy"),
    *("gradio", "huggingface_hub"),
)

PUBLIC = """
BertpruneError Calibration Checkpoint Comparison ModuleNode NoEffectWarning PruningRun QualityReport Recipe Scan
Selection Snapshot SparsityReport SpeedReport Step Sweep TextReport TooLargeError __version__ apply bake compare
evaluate export figures grid load method methods plan preview prune push register scan snapshot sparsity speed sweep
tree try_text
""".split()


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the full name of everything that a file of `package` imports, within functions and for types too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def import_graph(root: Path) -> dict[str, set[str]]:
    """Map each module of a package to those it imports, the package's contents page included."""
    files = {
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in root.rglob("*.py")
    }
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        names = imported(path.read_text(encoding="utf-8"), package)
        found = {name if name in files else name.rpartition(".")[0] for name in names}
        graph[module] = (found & files.keys()) - {module}
    return graph


def test_no_file_imports_itself_through_others() -> None:
    graph = import_graph(PACKAGE)
    assert "bertprune.recipe" in graph["bertprune.runs.run"]
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_a_circle_is_found_however_it_is_imported(tmp_path: Path) -> None:
    files = {
        "__init__.py": "",
        "one.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .sub.two import Two",
        "sub/__init__.py": "",
        "sub/two.py": "def two():\n    from .. import three",
        "three.py": "import circle.one",
    }
    for name, text in files.items():
        (tmp_path / "circle" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "circle" / name).write_text(text)
    with pytest.raises(CycleError, match=r"circle\.sub\.two"):
        TopologicalSorter(import_graph(tmp_path / "circle")).prepare()


def test_a_circle_through_the_contents_page_is_found(tmp_path: Path) -> None:
    (tmp_path / "circle").mkdir()
    (tmp_path / "circle" / "__init__.py").write_text("from .one import One")
    (tmp_path / "circle" / "one.py").write_text("from . import __version__")
    with pytest.raises(CycleError, match=r"circle\.one"):
        TopologicalSorter(import_graph(tmp_path / "circle")).prepare()


def heavy_after(code: str) -> list[str]:
    """Run code in its own interpreter and return the heavy packages that it loaded."""
    report = f"\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return list(ast.literal_eval(done.stdout.splitlines()[-1]))


RECIPE = """
import bertprune as bp, bertprune.parallel
dir(bp), bp.__version__, bp.BertpruneError, bp.NoEffectWarning
bp.Recipe.from_yaml('steps: [{method: l1_unstructured, fraction: 0.2}]').to_json()
"""
PLAIN = """
import torch, bertprune as bp
model = torch.nn.Linear(3, 3)
bp.apply(model, bp.Step(method="l1_unstructured", count=1, select="*"))
bp.sparsity(model)
"""


@pytest.mark.parametrize(("code", "loaded"), [(RECIPE, []), (PLAIN, ["torch"])], ids=["recipe", "plain model"])
def test_only_what_is_needed_is_loaded(code: str, loaded: list[str]) -> None:
    assert heavy_after(code) == loaded


def test_waiting_for_transformers_loads_no_torch() -> None:
    assert "torch" not in heavy_after("import transformers, bertprune")


def test_the_probe_sees_what_is_heavy() -> None:
    assert "scipy" in heavy_after("import scipy")


def test_the_contents_page_is_complete() -> None:
    assert sorted(PUBLIC) == bp.__all__ == dir(bp)
    assert [name for name in bp.__all__ if not hasattr(bp, name)] == []


def test_type_checkers_see_the_same_names() -> None:
    source = Path(bp.__file__).read_text(encoding="utf-8")
    seen = {line.split(" as ")[-1].strip() for line in source.splitlines() if line.startswith("    from .")}
    assert seen == {*PUBLIC} - {"__version__"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'prnue'.*prune"):
        bp.prnue  # noqa: B018
