"""The processes that a sweep starts by itself: one that dies takes nothing but its own recipe along."""

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
