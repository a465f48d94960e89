"""Train the demo checkpoints: a tokenizer, a masked-language model, a sentiment classifier.

    python demo_training/train_demo.py --data reviews.tsv.gz

An interrupted run resumes from its last saved state when it is started again with the same arguments.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import typer

from demo_training.cli import main

if __name__ == "__main__":
    typer.run(main)
