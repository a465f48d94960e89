"""Train the demo checkpoints: a tokenizer, a masked-language model, a sentiment classifier.

    python demo_training/train_demo.py --data reviews.tsv.gz

A killed run goes on from its last saved state when started again with the same arguments.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from demo_training.cli import main

if __name__ == "__main__":
    typer.run(main)
