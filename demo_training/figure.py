"""Plot the training log of a stage."""

from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from demo_training.loop import Row


def draw(log: list[Row], path: Path) -> None:
    """Write a small PNG: losses on the left, validation accuracy on the right, over epochs."""
    frame = pd.DataFrame(log)
    figure = Figure(figsize=(6.4, 2.6), dpi=90, layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = frame.rename(columns={"loss": "training", "val_loss": "validation"})
    losses = losses.melt("epoch", ["training", "validation"], var_name="part", value_name="loss")
    sns.lineplot(losses, x="epoch", y="loss", hue="part", marker="o", ax=left)
    left.get_legend().set_title(None)
    sns.lineplot(frame, x="epoch", y="val_accuracy", marker="o", ax=right)
    right.set_ylabel("validation accuracy")
    figure.savefig(path)
