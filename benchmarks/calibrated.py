"""Measure time and memory of the steps that read calibration texts, on a model of KoBERT's shape. Linux only.

    python -m benchmarks.calibrated

The texts are 512 of 20 random tokens each. Each step runs in its own process, masks and hooks included.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import torch

import bertprune as bp
from benchmarks.own_process import run_module
from benchmarks.peak import peak_growth
from benchmarks.works import kobert
from bertprune.text import markdown

ENCODER = bp.Selection(types=["Linear"], include=["encoder.*"])

WORKS: dict[str, Sequence[bp.Step]] = {
    "Wanda, 70 % of each row": [bp.Step(method="wanda", fraction=0.7, scope="row", select=ENCODER)],
    "Fisher, half of all neurons": [bp.Step(method="fisher", granularity="neuron", fraction=0.5, scope="global")],
    "OBS, reconstructed, 65 % of the neurons, then a quarter of the heads": [
        bp.Step(method="obs", granularity="neuron", fraction=0.65, reconstruct=True),
        bp.Step(method="obs", granularity="head", fraction=0.25, reconstruct=True),
    ],
    "OBS, reconstructed, 70 % of the weights (SparseGPT)": [
        bp.Step(method="obs", fraction=0.7, reconstruct=True, select=ENCODER)
    ],
}


def texts() -> list[dict[str, torch.Tensor]]:
    """Make 16 batches of 32 texts."""
    generator = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(5, 8000, (32, 20), generator=generator)} for _ in range(16)]


def measure(name: str) -> dict[str, float]:
    """Prune once; return the seconds, and by how many bytes the process grew at its peak."""
    model, recipe, batches = kobert(), bp.Recipe(steps=WORKS[name]), texts()
    start = time.perf_counter()
    peak = peak_growth(lambda: bp.apply(model, recipe, calibration=batches))
    return {"seconds": time.perf_counter() - start, "peak": peak}


def table() -> str:
    """Measure every step in its own process, and write a table."""
    rows = []
    for name in WORKS:
        found = json.loads(run_module("calibrated", "--only", name))
        rows.append([name, f"{found['seconds']:.0f} s", f"{found['peak'] / 1e6:,.0f} MB"])
        print(*rows[-1], sep="  ", flush=True)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}."
    return f"{markdown(('step', 'time', 'memory above the model'), rows, right=(1, 2))}\n\n{machine}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=WORKS, metavar="STEP", help="measure one step here, and print JSON")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    if given.only:
        print(json.dumps(measure(given.only)))
    else:
        given.out.write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
