"""The processes that a sweep starts by itself: one that dies takes nothing but its own recipe along."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bertprune as bp
from bertprune.scores import load_file

from .conftest import REVIEWS

METHODS = '''
import os
import bertprune as bp

@bp.method("mine")
def mine(weight, *, deadly: bool = False):
    """Prune small entries, and perhaps die."""
    if deadly:
        os._exit(9)
    return abs(weight)
'''


@pytest.mark.usefixtures("temporary_methods")
def test_a_process_that_dies_loses_its_own_recipe_only(tiny_folder, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(METHODS)
    load_file(tmp_path / "mine.py")
    recipes = {
        "mine": bp.Step(method="mine", fraction=0.5),
        "deadly": bp.Step(method="mine", fraction=0.5, options={"deadly": True}),
    }
    found = bp.sweep(tiny_folder(), recipes, REVIEWS, out=tmp_path / "out", executor=2)
    assert [row.error and row.error.code for row in found.rows] == [None, None, "sweep.worker_died"]
    assert len(list((tmp_path / "out").iterdir())) == 2


def children(pid: int) -> list[Path]:
    """List the processes that a process has started."""
    stats = {path.parent: path.read_text() for path in Path("/proc").glob("[0-9]*/stat")}
    return [path for path, stat in stats.items() if stat.rpartition(")")[2].split()[1] == str(pid)]


SWEEP = """
import sys
import bertprune as bp

def say(share, words):
    if share:
        print("begun", flush=True)

recipes = bp.grid(method="random", fraction=[0.1, 0.2, 0.3, 0.4])
bp.sweep(sys.argv[1], recipes, ["good", "bad"], executor=1, progress=say)
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_a_sweep_that_is_killed_leaves_no_process(tiny_folder) -> None:
    command = [sys.executable, "-c", SWEEP, str(tiny_folder())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sweep:
        assert sweep.stdout is not None and sweep.stdout.readline() == "begun\n"
        started = children(sweep.pid)
        assert started
        os.kill(sweep.pid, signal.SIGKILL)
    for _ in range(100):
        if not any(path.exists() for path in started):
            return
        time.sleep(0.2)
    pytest.fail(f"still there: {[path.name for path in started if path.exists()]}")
