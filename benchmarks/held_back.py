"""Write the validation reviews of the demo's training, for the other benchmarks.

    python benchmarks/held_back.py --data nsmc_train.tsv.gz --out reviews.tsv

The split depends only on the training's seed, so the reviews are the same each time.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo_training.data import read_reviews, split
from demo_training.stages import Settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Split as the training does and write the validation part as TSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the reviews that the demo was trained on")
    parser.add_argument("--out", type=Path, required=True, help="where to write `document<TAB>label` lines")
    parser.add_argument("--count", type=int, default=Settings.held, help="how many were held back from training")
    parser.add_argument("--seed", type=int, default=Settings.seed, help="the training's seed")
    given = parser.parse_args(arguments)
    _, held = split(read_reviews(given.data), given.count, given.seed)
    lines = ["document\tlabel", *(f"{review.text}\t{review.label}" for review in held)]
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(held):,} reviews written to {given.out}")


if __name__ == "__main__":
    main()
