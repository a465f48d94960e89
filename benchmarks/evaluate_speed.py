"""Compare `bp.evaluate` with a loop over transformers' `pipeline("text-classification")`.

    python benchmarks/evaluate_speed.py --data reviews.tsv

Both score the same texts with the same model object and the same number of threads. They alternate, and the best round
of each counts.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import pipeline
from transformers.utils import logging

import bertprune as bp
from bertprune.text import markdown

HERE = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Time both sides and print the ratio; return the numbers that are written as JSON."""
    given = parse(arguments)
    logging.set_verbosity_error()
    if given.threads:
        torch.set_num_threads(given.threads)
    checkpoint = bp.Checkpoint.open(given.checkpoint)
    model, tokenizer = checkpoint.load(), checkpoint.tokenizer()
    pairs = read(given.data, given.limit)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    limit = min(tokenizer.model_max_length, model.config.max_position_embeddings)

    def loop() -> list[str]:
        return [classify(text, truncation=True, max_length=limit)[0]["label"] for text, _ in pairs]

    def ours() -> bp.QualityReport:
        return bp.evaluate(model, pairs, tokenizer=tokenizer)

    (plain, predicted), (fast, report) = best_of(given.rounds, loop, ours)
    names = model.config.id2label
    right = sum(label == names[int(known)] for label, (_, known) in zip(predicted, pairs, strict=True))
    result = {
        "checkpoint": checkpoint.name,
        "examples": len(pairs),
        "threads": torch.get_num_threads(),
        "pipeline_loop_examples_per_second": round(len(pairs) / plain, 1),
        "evaluate_examples_per_second": round(len(pairs) / fast, 1),
        "ratio": round(plain / fast, 2),
        "pipeline_loop_accuracy": right / len(pairs),
        "evaluate_accuracy": report.scores["accuracy"].after.value,
    }
    show(result, given.out)
    return result


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="samples", help="labelled texts, labels as numbers (default: samples)")
    parser.add_argument("--checkpoint", default="demo", help="a classifier: a name, folder or Hub id (default: demo)")
    parser.add_argument("--limit", type=int, default=2000, help="examples to score (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts (default: 3)")
    parser.add_argument("--threads", type=int, help="for torch (default: torch's own)")
    parser.add_argument("--out", type=Path, default=HERE / "evaluate_speed.json")
    return parser.parse_args(arguments)


def read(data: str, limit: int) -> list[tuple[str, str]]:
    """Read texts and labels beforehand, so that reading the file is not timed."""
    from bertprune.data.columns import find_examples
    from bertprune.data.tables import read_table

    examples = find_examples(read_table(data, limit), scores=False)
    return list(zip(examples.texts, examples.labels or [], strict=True))


def best_of(rounds: int, one: Callable[[], Any], other: Callable[[], Any]) -> tuple[tuple[float, Any], ...]:
    """Run both alternately; return the shortest time of each with its last result."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        start = time.perf_counter()
        first = one()
        middle = time.perf_counter()
        second = other()
        times[0].append(middle - start)
        times[1].append(time.perf_counter() - middle)
    return (min(times[0]), first), (min(times[1]), second)


def show(result: dict[str, Any], out: Path) -> None:
    """Print the result and save it, as JSON and as the README's table."""
    for name, value in result.items():
        print(f"{name.replace('_', ' '):36} {value}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(result), encoding="utf-8")


def table(result: dict[str, Any]) -> str:
    """Write the README's table."""
    plain, ours = (result[f"{side}_examples_per_second"] for side in ("pipeline_loop", "evaluate"))
    columns = ("texts", "threads", "texts/s, loop over `pipeline`", "texts/s, `bp.evaluate`", "faster")
    cells = (
        f"{result['examples']:,}",
        f"{result['threads']}",
        f"{plain:,.0f}",
        f"{ours:,.0f}",
        f"**{result['ratio']:.1f}×**",
    )
    return markdown(columns, [cells], right=range(5)) + "\n"


if __name__ == "__main__":
    main()
