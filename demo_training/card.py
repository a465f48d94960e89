"""Write the model cards of the demo checkpoints."""

import platform
from pathlib import Path

import tokenizers
import torch
import transformers

from demo_training.data import Review
from demo_training.figure import draw
from demo_training.loop import Row, Stage
from demo_training.score import accuracy

HEADER = """---
language: ko
license: apache-2.0
library_name: transformers
pipeline_tag: {task}
---
# {title}

{about}

| | |
|---|---|
| data | Naver sentiment movie corpus (NSMC), CC0 1.0 |
| licence of the weights | Apache-2.0 |
| architecture | `{architecture}`, {parameters:,} parameters |
| shape | {layers} layers, hidden size {hidden}, {heads} heads, FFN {ffn} |
| tokenizer | WordPiece, {vocab:,} entries, NFC, lower case, accents kept; repeated ㅋ, ㅠ, !, … are shortened |
| stored as | float16; loads as float32, as `config.json` says |
| seed | {seed} |
| training | {train:,} reviews, {time} on {threads} CPU thread(s) |
| validation | {held:,} other reviews, chosen by the seed and never used in training |
| versions | {versions} |
"""

RECIPE = """
## Training log

{epochs:g} epochs ({steps:,} steps of {batch} reviews), AdamW, highest learning rate {lr:g}, {warmup:.0%} warm-up,
{decay} decay to zero, weight decay {weight_decay:g}. Trained with `demo_training/train_demo.py`.

| epoch | step | training loss | validation loss | validation accuracy | time |
|---|---|---|---|---|---|
{rows}

![losses and accuracy over epochs](training.png)
"""

MLM = """The pre-trained stage of bertprune's Korean demo model: a small BERT that predicts masked tokens of film
reviews. Its decoder is tied to the word embeddings. It is meant for trying out pruning, not for good predictions: it
predicts {accuracy:.1%} of the masked tokens (15 %, by BERT's scheme) of the validation reviews."""

SENTIMENT = """bertprune's Korean demo model: a small BERT that classifies film reviews as positive (1) or negative (0).
It was fine-tuned from the masked-language model `demo-mlm` and is meant for trying out pruning.

| data, with the model loaded from this folder in float32 | accuracy |
|---|---|
| validation reviews ({held:,}) | {accuracy:.2%} |{samples}"""

SAMPLES = """
| `samples.csv`: {count} sentences written for this project, many of them difficult | {accuracy:.1%} |"""

LIMITS = """
## Limits

The reviews are short (at most 140 characters), informal, and about films and series; the labels come from the star
ratings of their authors. Irony, and opinions that change within a sentence, are often classified wrongly.
The data contains rude and unfair opinions. The model is not suitable for decisions about people.
"""


def clock(seconds: float) -> str:
    """Format a duration in minutes and seconds."""
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def row(entry: Row) -> str:
    """Write one row of the training log."""
    loss, found = f"{entry['loss']:.4f} | {entry['val_loss']:.4f}", f"{entry['val_accuracy']:.2%}"
    return f"| {entry['epoch']:.2f} | {entry['step']:.0f} | {loss} | {found} | {clock(entry['seconds'])} |"


def versions() -> str:
    """List the library versions used in training."""
    libraries = (("torch", torch), ("transformers", transformers), ("tokenizers", tokenizers))
    return ", ".join([f"Python {platform.python_version()}"] + [f"{n} {m.__version__}" for n, m in libraries])


def header(stage: Stage, task: str, title: str, about: str, train: int, held: int) -> str:
    """Write the front matter, the introduction and the table of facts."""
    config = stage.model.config
    return HEADER.format(
        task=task,
        title=title,
        about=about,
        architecture=type(stage.model).__name__,
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        ffn=config.intermediate_size,
        parameters=sum(parameter.numel() for parameter in stage.model.parameters()),
        vocab=config.vocab_size,
        seed=stage.seed,
        train=train,
        time=clock(stage.seconds),
        threads=torch.get_num_threads(),
        held=held,
        versions=versions(),
    )


def recipe(stage: Stage) -> str:
    """Describe how the stage was trained, with its log."""
    plan = stage.plan
    return RECIPE.format(
        epochs=plan.epochs,
        steps=stage.step,
        batch=plan.batch,
        lr=plan.lr,
        warmup=plan.warmup,
        decay="cosine" if plan.cosine else "linear",
        weight_decay=plan.weight_decay,
        rows="\n".join(map(row, stage.log)),
    )


def sentiment_about(folder: Path, held: list[Review], samples: list[Review]) -> str:
    """Describe the classifier with its accuracy, measured on the exported folder."""
    extra = SAMPLES.format(count=len(samples), accuracy=accuracy(folder, samples)) if samples else ""
    return SENTIMENT.format(held=len(held), accuracy=accuracy(folder, held), samples=extra)


def write(folder: Path, stage: Stage, head: str) -> None:
    """Write one card and its figure."""
    draw(stage.log, folder / "training.png")
    (folder / "README.md").write_text(head + recipe(stage) + LIMITS, encoding="utf-8")


def write_mlm_card(folder: Path, stage: Stage, train: int, held: int) -> None:
    """Write the card of the masked-language model."""
    about = MLM.format(accuracy=stage.log[-1]["val_accuracy"])
    write(folder, stage, header(stage, "fill-mask", "bertprune demo-mlm", about, train, held))


def write_sentiment_card(folder: Path, stage: Stage, train: int, held: list[Review], samples: list[Review]) -> None:
    """Write the card of the classifier."""
    about = sentiment_about(folder, held, samples)
    write(folder, stage, header(stage, "text-classification", "bertprune demo", about, train, len(held)))
