"""What only a process of its own shows: exit codes, pipes, and what is imported."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

LIGHT = """
import sys
from bertprune.cli import main
codes = [main([word, "--help"][bool(not word):]) for word in ("", "prune", "app")]
codes.append(main(["prune", "x", "--method", "m", "--layer", "x"]))
heavy = {"torch", "transformers", "numpy", "pandas", "gradio", "matplotlib", "huggingface_hub"} & set(sys.modules)
print(codes, heavy, file=sys.stderr)
"""


def python(*arguments: Any, **rest: Any) -> Any:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "FORCE_COLOR": "1", "GITHUB_ACTIONS": "true"}
    return subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=250, **rest)


def shell(line: str) -> Any:
    """Run a line of a shell whose $0 is Python."""
    return subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, text=True, timeout=250, cwd=ROOT)


def test_help_and_wrong_flags_cost_no_torch() -> None:
    done = python("-c", LIGHT)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 2] set()", done.stderr


REDIRECTED = [
    (">/dev/full", "error: stdout: No space left on device\n"),
    (">&-", "error: stdout: Bad file descriptor\n"),
    (">&- 2>&-", ""),
]


def test_a_process_whose_output_is_lost_ends_with_exit_code_1(subtests: pytest.Subtests) -> None:
    for redirected, said in REDIRECTED:
        with subtests.test(redirected):
            done = shell(f'"$0" -m bertprune --help {redirected}')
            assert (done.returncode, done.stderr) == (1, said)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); from bertprune.cli import main; "
    done = python("-c", code + "sys.exit(main(['--help']))")
    assert (done.returncode, done.stderr) == (1, "")


def test_no_file_that_is_opened_gets_the_number_of_a_closed_stream() -> None:
    code = "from bertprune.cli.streams import safe_streams; import os, sys\n"
    code += "with safe_streams(): sys.exit(os.open(os.devnull, os.O_RDONLY))"
    assert shell(f'"$0" -c "{code}" <&- >&- 2>&-').returncode == 3
