"""Measure what really smaller models weigh, how fast they are, and what they lose, beside the dense ones.

    python -m benchmarks.smaller --reviews nsmc_train.tsv.gz
    python -m benchmarks.smaller --encoder all-MiniLM-L6-v2 --texts train.csv --pairs test.csv

Every model is exported, and what is measured is the folder. The results are `smaller.md` and `smaller.json` in this
folder; models that are not measured keep the rows that they had.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import torch

import bertprune as bp
from bertprune.text import markdown
from demo_training.data import read_reviews, split
from demo_training.stages import Settings

HERE = Path(__file__).resolve().parent
TABLE, NUMBERS = HERE / "smaller.md", HERE / "smaller.json"


def obs(granularity: str, **amount: Any) -> bp.Step:
    """Make a step that reconstructs what stays."""
    return bp.Step(method="obs", granularity=granularity, reconstruct=True, **amount)


@dataclass(frozen=True)
class Way:
    """One way to make a model smaller."""

    name: str
    steps: Sequence[bp.Step] = ()
    export: dict[str, Any] = field(default_factory=lambda: {"form": "small"})


HALF_DEMO = bp.Step(method="fisher", granularity="neuron", fraction=0.75, scope="global")
DEMO = (
    Way("half of the MACs, float32", [HALF_DEMO], {"form": "small", "dtype": "float32"}),
    Way(
        "half of the MACs, 1,000 tokens fewer, int8",
        [bp.Step(method="token_count", count=1000), HALF_DEMO],
        {"form": "onnx", "quantize": "int8"},
    ),
)
THIRD = [obs("neuron", fraction=0.75), obs("head", fraction=0.5)]
VOCABULARY = bp.Step(method="token_count", count=18_522)
ENCODER = (
    Way("a quarter of the neurons left", THIRD[:1]),
    Way("35 % of the neurons, 75 % of the heads left", [obs("neuron", fraction=0.65), obs("head", fraction=0.25)]),
    Way("a third of the MACs", THIRD),
    Way("a third of the MACs, int8", THIRD, {"form": "onnx", "quantize": "int8"}),
    Way("12,000 tokens left", [VOCABULARY]),
    Way(
        "a third of the MACs, 12,000 tokens left, float16",
        [VOCABULARY, *THIRD],
        {"form": "small", "dtype": "float16"},
    ),
)


def by_norm(neurons: float, heads: float = 0.0) -> list[bp.Step]:
    """Make steps for a model with random weights, of which only the shapes matter."""
    amounts = {"neuron": neurons, "head": heads}
    return [bp.Step(method="magnitude", granularity=kind, fraction=share) for kind, share in amounts.items() if share]


SHAPE = (
    Way("a quarter of the neurons left", by_norm(0.75)),
    Way("35 % of the neurons, 75 % of the heads left", by_norm(0.65, 0.25)),
    Way("a quarter of the neurons, half of the heads left", by_norm(0.75, 0.5)),
    Way("nothing removed, onnxruntime", export={"form": "onnx"}),
    Way("nothing removed, int8", export={"form": "onnx", "quantize": "int8"}),
)


@dataclass(frozen=True)
class Subject:
    """A model, the texts that calibrate it, and the examples on which it is measured."""

    title: str
    checkpoint: str
    ways: Sequence[Way]
    texts: Any = None
    examples: Any = None
    score: str = ""
    threads: Sequence[int] = ()
    """Numbers of threads beside torch's own, for ONNX."""


def demo(reviews: Path) -> Subject:
    """Return the demo, with the reviews that it was trained on for calibration, and those held back to measure."""
    trained, held = split(read_reviews(reviews), Settings.held, Settings.seed)
    examples = pd.DataFrame({"text": [one.text for one in held], "label": [one.label for one in held]})
    return Subject("demo", "demo", DEMO, [one.text for one in trained], examples, "accuracy")


def encoder(name: str, texts: Path, pairs: Path) -> Subject:
    """Return an encoder of sentences, scored by Spearman's correlation on pairs."""
    return Subject(Path(name).name, name, ENCODER, bp.Calibration(texts), pairs, "spearman")


def rows_of(subject: Subject, folder: Path) -> Iterator[dict[str, Any]]:
    """Measure the dense model, and then every way to make it smaller."""
    before = bp.export(subject.checkpoint, folder / "dense", dtype="float32").path
    dense = {"model": subject.title, "way": "dense", "quality": quality(subject, subject.checkpoint)}
    disk = bp.Checkpoint.open(subject.checkpoint).facts.bytes or (before / "model.safetensors").stat().st_size
    yield dense | {"threads": torch.get_num_threads(), "disk": disk}
    for number, way in enumerate(subject.ways):
        needs_texts = subject.texts is not None
        run = bp.prune(subject.checkpoint, list(way.steps), calibration=subject.texts if needs_texts else None)
        out = folder / f"{subject.title}-{number}".replace("/", "-")
        rounded = way.export.get("quantize") or way.export.get("dtype") == "float16"
        texts = {"texts": subject.texts} if needs_texts and rounded else {}
        exported = bp.export(run, out, **way.export, **texts)
        del run
        found = {"model": subject.title, "way": way.name, "loads": exported.loads, "drift": plain(exported.drift)}
        more = subject.threads if way.export["form"] == "onnx" else ()
        for threads in (torch.get_num_threads(), *more):
            yield found | {"threads": threads, "quality": quality(subject, out)} | timed(subject, out, before, threads)


def plain(drift: Any) -> Any:
    """Return a report as JSON takes it."""
    return None if drift is None else str(drift)


def quality(subject: Subject, model: str | Path) -> list[float] | None:
    """Return the score with its 95 % interval."""
    if subject.examples is None:
        return None
    report = bp.evaluate(model, subject.examples, limit=None)
    value = report[subject.score].after
    return [value.value, value.low, value.high]


def timed(subject: Subject, out: Path, dense: Path, threads: int) -> dict[str, Any]:
    """Time a folder beside the dense model, in float32, on the same texts."""
    usual = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = bp.speed(out, against=dense, texts=texts_to_time(subject))
    finally:
        torch.set_num_threads(usual)
    return {
        "disk": found.after.disk,
        "machine": found.machine,
        "timings": [
            {
                "batch": one.batch,
                "tokens": one.tokens,
                "seconds": [one.before.value, one.after.value],
                "ratio": asdict(one.ratio),
                "macs": one.macs,
            }
            for one in found.timings
            if one.before and one.ratio
        ],
    }


def texts_to_time(subject: Subject) -> Any:
    """Return texts of the examples; made-up token ids where there are none."""
    if subject.examples is None:
        return None
    return bp.Calibration(subject.examples)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Write what one gets."""
    header = ("model", "made smaller", "weights", "MACs", "1 text", "16 texts", "quality", "loads")
    own = [row for row in rows if row["threads"] == torch.get_num_threads() and row["disk"]]
    body = [list(cells(row, own)) for row in own]
    return f"{markdown(header, body, right=range(2, 7))}\n\n{closing(rows)}\n"


def cells(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Write one row; the dense model has the medians of its times beside the others of its kind."""
    timings = row.get("timings")
    beside = [one["timings"] for one in rows if one["model"] == row["model"] and one.get("timings")]
    yield row["model"]
    yield row["way"]
    yield f"{row['disk'] / 1e6:,.1f} MB"
    yield share_of_macs(timings[0]) if timings else "1.00"
    for pick in (0, -1):
        yield latency(timings[pick]) if timings else dense_latency([one[pick] for one in beside])
    yield written(row["quality"])
    yield row.get("loads", "")


def share_of_macs(timing: dict[str, Any]) -> str:
    """Write how much of the multiplications is left."""
    before, after = timing["macs"]
    return f"{after / before:.2f}"


def latency(timing: dict[str, Any]) -> str:
    """Write the time of a batch, and how many times shorter it is."""
    return f"{1000 * timing['seconds'][1]:.1f} ms, **{timing['ratio']['value']:.1f}×**"


def dense_latency(timings: Sequence[dict[str, Any]]) -> str:
    """Write how long the dense model took, as the median of what was measured in turn with the others."""
    return f"{1000 * median(one['seconds'][0] for one in timings):.1f} ms" if timings else ""


def written(quality: list[float] | None) -> str:
    """Write a score with its interval: accuracies in per cent, correlations as they are."""
    if quality is None:
        return ""
    return "{:.3f} ({:.3f}–{:.3f})".format(*quality)


def closing(rows: Sequence[dict[str, Any]]) -> str:
    """Say where and how it was measured."""
    machines = ", ".join(sorted({row["machine"] for row in rows if "machine" in row}))
    return (
        f"Bold: how many times faster than the dense model in torch, which ran in turn with each; its own row has the"
        f" median of these runs. {torch.get_num_threads()} threads, {machines}, "
        f"Python {platform.python_version()}, torch {torch.__version__}."
    )


def main() -> None:
    """Measure, and write table and numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviews", type=Path, help="the corpus that the demo was trained on")
    parser.add_argument("--encoder", help="an encoder of sentences with 30,522 tokens")
    parser.add_argument("--texts", type=Path, help="texts or pairs that calibrate it")
    parser.add_argument("--pairs", type=Path, help="pairs with scores on which it is measured")
    parser.add_argument("--shape", action="store_true", help="measure KoBERT's shape with random weights")
    given = parser.parse_args()
    subjects: list[Callable[[], Subject]] = []
    if given.reviews:
        subjects.append(lambda: demo(given.reviews))
    if given.encoder:
        subjects.append(lambda: encoder(given.encoder, given.texts, given.pairs))
    if given.shape:
        subjects.append(lambda: Subject("kobert-shape", "kobert-shape", SHAPE, threads=[1]))
    rows = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.is_file() else []
    for make in subjects:
        subject = make()
        rows = [row for row in rows if row["model"] != subject.title]
        with tempfile.TemporaryDirectory() as folder:
            for row in rows_of(subject, Path(folder)):
                rows.append(row)
                print(json.dumps(row, ensure_ascii=False), flush=True)
                NUMBERS.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    TABLE.write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
