"""What only a process of its own shows: exit codes, pipes, and what is imported."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

LIGHT = """
import sys
from bertprune.cli import main
codes = [main([word, "--help"][bool(not word):]) for word in ("", "prune", "app")]
codes.append(main(["prune", "x", "--method", "m", "--layer", "x"]))
heavy = {"torch", "transformers", "numpy", "pandas", "gradio", "matplotlib"} & set(sys.modules)
print(codes, heavy, file=sys.stderr)
"""


def python(*arguments: Any, **rest: Any) -> Any:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1", "GITHUB_ACTIONS": "true"}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=250, **rest)


def test_help_and_wrong_flags_cost_no_torch() -> None:
    done = python("-c", LIGHT)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 2] set()", done.stderr


def test_a_reader_that_leaves_early_is_no_error(tiny_folder: Callable[..., Path]) -> None:
    source = tiny_folder()
    code = "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); from bertprune.cli import main; "
    code += f"sys.exit(main(['tree', {str(source)!r}]))"
    done = python("-c", code)
    assert (done.returncode, done.stderr) == (1, "")


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = python("-m", "bertprune", "tree", "./nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: 'nowhere' does not exist; ") and done.stderr.count("\n") == 1
