"""The commands around size and speed: --dtype, --quantize, and `speed`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import STEP


@pytest.mark.usefixtures("here")
def test_half_precision_tells_its_drift(cli: Callable[..., Any]) -> None:
    found = cli(f"prune tiny-0 {STEP} --out half --dtype float16 --json").json["export"]
    assert found["drift"]["measure"] == "divergence" and found["drift"]["texts"] == 64
    assert "drift of its answers: a Kullback-Leibler divergence of " in cli("export tiny-0 plain --dtype bfloat16").out
    assert "drift" not in cli("export tiny-0 wide --dtype float32").out


@pytest.mark.usefixtures("here")
def test_the_drift_is_told_on_texts_of_ones_own(cli: Callable[..., Any], here: Path) -> None:
    (here / "texts.txt").write_text("the film was good\nbad\n")
    found = cli("export tiny-0 half --dtype float16 --texts texts.txt --json").json
    assert found["drift"]["texts"] == 2
    refused = cli(f"prune tiny-0 {STEP} --out x --quantize int8")
    assert refused.code == 2 and "is for the form onnx" in refused.err and not (here / "x").exists()


def test_speed(cli: Callable[..., Any], here: Path) -> None:
    (here / "rows.csv").write_text("text,label\nthe film was good,1\nbad plot,0\n")
    found = cli("speed tiny-0 --against tiny-0 --texts rows.csv --rounds 2 --json").json
    assert (found["rounds"], found["texts"], found["data_name"]) == (2, 2, "rows.csv")
    assert found["before"]["parameters"] == found["after"]["parameters"]
    lines = cli("speed tiny-0 --rounds 2").out.splitlines()
    assert lines[0].startswith("tiny-0: 2 rounds on made-up token ids") and any("latency" in line for line in lines)
    assert cli("speed tiny-0 --rounds 1").code == 2
