"""Measure the time and the memory that hostile or careless input costs before it is refused. Linux only.

    python -m benchmarks.limits

Each case runs in its own process: the input is prepared and everything is imported first, then one call is measured.
The exit code is 1 if a case is not refused as expected, or needs more than `SECONDS` of CPU time or `BYTES` of memory.
"""

import argparse
import gzip
import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import bertprune as bp
from benchmarks.own_process import run_module
from benchmarks.peak import peak_growth
from bertprune.data.tables import read_table
from bertprune.text import markdown

SECONDS, BYTES = 2.5, 200_000_000
Call = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One input: what it is, what it is given to, and a function that prepares it in a folder."""

    given: str
    to: str
    prepare: Callable[[Path], Call]
    refused: bool = True


def torch_file(pickled: bytes, entries: int = 0, method: int = zipfile.ZIP_STORED) -> Callable[[Path], Call]:
    """Prepare a checkpoint whose torch file holds another pickle, and some more entries."""

    def prepare(folder: Path) -> Call:
        path = empty_checkpoint(folder) / "pytorch_model.bin"
        torch.save({"a": torch.zeros(2)}, path)
        with zipfile.ZipFile(path) as original:
            parts = {name: original.read(name) for name in original.namelist()}
        with zipfile.ZipFile(path, "w", method) as changed:
            for name, data in parts.items():
                changed.writestr(name, pickled if name.endswith("data.pkl") else data)
            for number in range(entries):
                changed.writestr(f"archive/data/{number}", b"")
        return lambda: bp.Checkpoint.open(folder)

    return prepare


def safetensors_file(header: str) -> Callable[[Path], Call]:
    """Prepare a checkpoint whose safetensors file has this header."""

    def prepare(folder: Path) -> Call:
        text = header.encode()
        path = empty_checkpoint(folder) / "model.safetensors"
        path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
        return lambda: bp.Checkpoint.open(folder)

    return prepare


def config(**changes: Any) -> Callable[[Path], Call]:
    """Prepare a good checkpoint with changes to its config.json."""

    def prepare(folder: Path) -> Call:
        copy_demo(folder)
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return lambda: bp.Checkpoint.open(folder).model()

    return prepare


def large_tokenizer(folder: Path) -> Call:
    """Prepare a good checkpoint whose tokenizer.json claims two gigabytes."""
    copy_demo(folder)
    with (folder / "tokenizer.json").open("ab") as file:
        file.truncate(2**31)
    return lambda: bp.Checkpoint.open(folder).tokenizer()


def empty_checkpoint(folder: Path) -> Path:
    """Write a config without weights, and load transformers by opening another checkpoint."""
    bp.Checkpoint.open("kobert-shape").skeleton()
    (folder / "config.json").write_text(bp.Checkpoint.open("demo").config.to_json_string())
    return folder


def copy_demo(folder: Path) -> None:
    """Copy the demo checkpoint, and load transformers by building it."""
    shutil.copytree(Path(bp.__file__).parent / "demo" / "sentiment", folder, dirs_exist_ok=True)
    bp.Checkpoint.open("demo").model()


def one_long_line(folder: Path) -> Call:
    """Prepare a sparse JSONL file of 1 GiB without a line end."""
    with (folder / "a.jsonl").open("wb") as file:
        file.write(b'{"text": "')
        file.truncate(2**30)
    return lambda: read_table(folder / "a.jsonl", 1000)


def zipped_line(folder: Path) -> Call:
    """Prepare a small gzip file that unpacks to 200 MB without a line end."""
    with gzip.open(folder / "a.jsonl.gz", "wb", compresslevel=9) as file:
        for _ in range(200):
            file.write(bytes(1_000_000))
    return lambda: read_table(folder / "a.jsonl.gz", 1000)


def many_rows(folder: Path) -> Call:
    """Prepare a table of which only the first rows are asked for."""
    (folder / "a.csv").write_text("text,label\n" + "good,1\n" * 300_000)
    return lambda: read_table(folder / "a.csv", 1000)


def yaml(text: str) -> Callable[[Path], Call]:
    """Prepare a recipe as YAML."""
    return lambda folder: lambda: bp.Recipe.from_yaml(text)


def selection(steps: int = 1, **conditions: Any) -> Callable[[Path], Call]:
    """Prepare a preview of steps with this selection on a model of KoBERT's shape."""

    def prepare(folder: Path) -> Call:
        checkpoint = bp.Checkpoint.open("kobert-shape")
        checkpoint.skeleton()
        step = bp.Step(method="l1_unstructured", count=1, select=bp.Selection(**conditions))
        recipe = bp.Recipe(steps=[step] * steps)
        return lambda: bp.preview(checkpoint, recipe)

    return prepare


def integer(value: int) -> bytes:
    """Write a pickle instruction that pushes a large integer."""
    written = value.to_bytes((value.bit_length() + 8) // 8, "little")
    return b"\x8a" + bytes([len(written)]) + written


SLOW_KEY = b"\x80\x02}K\x01q\x00" + b"h\x00\x86q\x00" * 60 + b"Ns."  # hashing it takes 2^60 calls
COLLIDING = b"\x80\x02}(" + b"".join(integer(n * (2**61 - 1)) + b"N" for n in range(1, 60_000)) + b"u."
ENTRY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
STEP = "- {method: l1_unstructured, fraction: 0.5}\n"

CASES = {
    "instructions": Case("a pickle of 3 M integers", "open", torch_file(b"\x80\x02](" + b"K\x01" * 3_000_000 + b"e.")),
    "zeros": Case("a pickle that unpacks to 300 MB", "open", torch_file(bytes(300_000_000), 0, zipfile.ZIP_DEFLATED)),
    "entries": Case("a torch file of 100,000 entries", "open", torch_file(b"", entries=100_000)),
    "slow key": Case("a pickled key that takes 2^60 calls to hash", "open", torch_file(SLOW_KEY)),
    "colliding": Case("60,000 pickled keys with one hash", "open", torch_file(COLLIDING)),
    "long name": Case("a pickled name of 2 GB", "open", torch_file(b"\x80\x02X\xff\xff\xff\x7f" + b"x" * 5_000_000)),
    "header": Case("a safetensors header of 90 MB", "open", safetensors_file("{" + " " * 90_000_000 + "}")),
    "tensors": Case(
        "a header of 60,000 tensors", "open",
        safetensors_file("{" + ",".join(f'"{n}":{ENTRY}' for n in range(60_000)) + "}"),
    ),
    "dimensions": Case(
        "a tensor of 1 M dimensions", "open",
        safetensors_file('{"a":' + ENTRY.replace("[0]", json.dumps([1] * 1_000_000), 1) + "}"),
    ),
    "labels": Case("a config of 60,000 labels", "build", config(id2label={str(n): "x" for n in range(60_000)})),
    "classes": Case("a config of 100,000 architectures", "build", config(architectures=["BertModel"] * 100_000), False),
    "hidden size": Case("a config of hidden size 10^9", "build", config(hidden_size=10**9)),
    "tokenizer": Case("a tokenizer.json of 2 GB", "tokenizer", large_tokenizer),
    "long line": Case("one JSONL line of 1 GB", "evaluate", one_long_line),
    "zipped line": Case("a gzip file with one line of 200 MB", "evaluate", zipped_line),
    "rows": Case("a CSV file of 300,000 rows, limit 1,000", "evaluate", many_rows, refused=False),
    "recipe": Case("a YAML recipe of 64 kB", "Recipe", yaml("steps:\n" + STEP * 1480), refused=False),
    "long recipe": Case("a YAML recipe of 10 MB", "Recipe", yaml("steps:\n" + STEP * 230_000)),
    "nested": Case("a YAML recipe nested 30,000 deep", "Recipe", yaml("steps: " + "[" * 30_000 + "]" * 30_000)),
    "stars": Case("a glob of 30 stars", "preview", selection(include="*a" * 30 + "b")),
    "globs": Case("9,000 globs", "preview", selection(include=[f"*{number}*" for number in range(9000)])),
    "wide braces": Case("a glob with {0..999999999}", "preview", selection(include="{0..999999999}")),
    "deep braces": Case("a glob with braces 2,000 deep", "preview", selection(include="{" * 2000 + "}" * 2000)),
    "braces": Case("a glob with 50 times {a,b}", "preview", selection(include="{a,b}" * 50)),
    "steps": Case("40 steps of 300 globs each", "preview", selection(40, include="*", exclude="*{1..300}*a*b*")),
}  # fmt: skip


def measure(name: str) -> dict[str, Any]:
    """Run one case in this process."""
    case, outcome, seconds = CASES[name], "accepted", 0.0
    with tempfile.TemporaryDirectory() as folder:
        call = case.prepare(Path(folder))

        def attempt() -> None:
            nonlocal outcome, seconds
            started = time.process_time()
            try:
                call()
            except bp.BertpruneError as error:
                outcome = error.code
            seconds = time.process_time() - started

        growth = peak_growth(attempt)
    return {"outcome": outcome, "seconds": seconds, "bytes": growth}


def row(case: Case, found: dict[str, Any]) -> list[str]:
    """Write one row of the table."""
    outcome = "accepted" if found["outcome"] == "accepted" else f"refused: `{found['outcome']}`"
    return [case.given, case.to, outcome, f"{found['seconds']:.2f} s", f"{found['bytes'] / 1e6:,.0f} MB"]


def main() -> None:
    """Measure every case and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", choices=CASES, metavar="CASE", help=f"measure one as JSON: {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    if given.case:
        print(json.dumps(measure(given.case)))
        return
    rows = []
    missed = []
    for name, case in CASES.items():
        found = json.loads(run_module("limits", "--case", name))
        if (found["outcome"] != "accepted") != case.refused or found["seconds"] > SECONDS or found["bytes"] > BYTES:
            missed.append(name)
        rows.append(row(case, found))
        print(*rows[-1], sep="  ", flush=True)
    written = markdown(("input", "given to", "outcome", "CPU time", "memory"), rows, right=(3, 4))
    given.out.write_text(f"{written}\n", encoding="utf-8")
    sys.exit(missed and f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
