"""Read a masked export back: the dense checkpoint, the masks, and the steps that made them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, RecipeError, shortened
from ..model.hooks import MaskDtype, attach
from ..model.targets import every_target, targets_by_name
from ..recipe import Recipe
from ..step import Step
from .checkpoint import Checkpoint
from .headers import TensorFact
from .json_files import folder_config, read_object
from .source import Source
from .weights import MASKED_FILE, Read, SafetensorsWeights

_MASK_DTYPES = ("bool", "uint8")


class MaskedWeights(SafetensorsWeights):
    """Show the dense tensors of a masked file under the names that they have in the model without hooks."""

    def __init__(self, path: Path) -> None:
        """Read the header; raises CheckpointError where masks and tensors do not match."""
        super().__init__((path,))
        stored = {fact.name: fact for fact in self.tensors}
        masked = [name[:-5] for name in stored if name.endswith("_mask") and name[:-5] + "_orig" in stored]
        for name in masked:
            _check_mask(stored, name, path.name)
        self._stored_as = {name: name + "_orig" for name in masked}
        hidden = {name + end for name in masked for end in ("_orig", "_mask")}
        plain = (fact for name, fact in stored.items() if name not in hidden)
        dense = (TensorFact(name, stored[at].shape, stored[at].dtype) for name, at in self._stored_as.items())
        self.tensors = (*plain, *dense)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the file; tensors are read by their dense names."""
        with super().reader() as read:
            yield lambda name: read(self._stored_as.get(name, name))

    def masks(self) -> dict[str, Tensor]:
        """Read all masks, by the dense names of their tensors; raises CheckpointError."""
        with super().reader() as read:
            return {name: read(name + "_mask").to(torch.bool, copy=True) for name in self._stored_as}


@dataclass(frozen=True, eq=False)
class MaskedFolder:
    """A masked export, opened and checked."""

    checkpoint: Checkpoint
    """The dense model, as it was before pruning."""
    masks: dict[str, Tensor]
    """By target name."""
    recipe: Recipe
    history: dict[str, tuple[Step, ...]]
    """The steps that touched each target, by target name."""
    report: dict[str, Any]
    """The content of `report.json`."""

    def model(self) -> nn.Module:
        """Build the model with its hooks, masks and history."""
        model = self.checkpoint.load()
        mask_dtype: MaskDtype = "float" if self.report.get("mask_dtype") == "float" else "bool"
        attach(targets_by_name(model), self.masks, self.history, mask_dtype)
        return model


def load(folder: str | Path) -> nn.Module:
    """Load an export, or any other checkpoint, as a model.

    A folder in masked form comes back with its hooks, masks and history, so that training or further pruning can
    continue; a baked one comes back plain. No code in the folder is run.

    Args:
        folder: What `export` wrote, or anything that `Checkpoint.open` opens.

    Returns:
        A transformers model of your own in float32 and eval mode.

    Raises:
        CheckpointError: The folder cannot be found, read or trusted.

    Warns:
        MissingTensorsWarning: The checkpoint lacks tensors that its architecture expects.

    Example:
        >>> import bertprune as bp
        >>> type(bp.load("demo")).__name__
        'BertForSequenceClassification'
    """
    return open_masked(folder).model() if is_masked(folder) else Checkpoint.open(folder).load()


def is_masked(folder: str | Path) -> bool:
    """Return whether a folder is a masked export."""
    return (Path(folder) / MASKED_FILE).is_file()


def open_masked(folder: str | Path) -> MaskedFolder:
    """Open a masked export; no code in it is run, and everything in it is checked. Raises CheckpointError."""
    folder = Path(folder)
    name = folder.resolve().name
    report = read_object(folder / "report.json", f"{name}: report.json")
    recipe = _recipe(folder, name)
    weights = MaskedWeights(folder / MASKED_FILE)
    checkpoint = Checkpoint(Source(name, folder_config(folder, name), weights, lambda: folder))
    if checkpoint.missing:
        raise CheckpointError(
            "{name}: {file} lacks {tensor!r}; the export is incomplete",
            code="checkpoint.masked_incomplete", name=name, file=MASKED_FILE, tensor=min(checkpoint.missing),
        )  # fmt: skip
    masks, history = _by_target(checkpoint, weights.masks(), report.get("history"), recipe)
    return MaskedFolder(checkpoint, masks, recipe, history, report)


def _check_mask(stored: Mapping[str, TensorFact], name: str, file: str) -> None:
    mask, dense = stored[name + "_mask"], stored[name + "_orig"]
    if name in stored:
        raise CheckpointError(
            "{file} holds {tensor!r} with a mask and without: expected once",
            code="checkpoint.masked_twice", file=file, tensor=shortened(name, 80),
        )  # fmt: skip
    if mask.shape != dense.shape or mask.dtype not in _MASK_DTYPES:
        raise CheckpointError(
            "{file}: the mask of {tensor!r} does not fit its tensor",
            code="checkpoint.mask_does_not_fit", file=file, tensor=shortened(name, 80),
        )  # fmt: skip


def _recipe(folder: Path, name: str) -> Recipe:
    try:
        return Recipe.load(folder / "recipe.yaml")
    except RecipeError as error:
        raise CheckpointError("{name}: {error}", code="checkpoint.masked_recipe", name=name, error=error) from None


def _by_target(
    checkpoint: Checkpoint, found: dict[str, Tensor], claimed: Any, recipe: Recipe
) -> tuple[dict[str, Tensor], dict[str, tuple[Step, ...]]]:
    """Key masks and the report's history by target; both must name the same ones. Raises CheckpointError."""
    targets = {alias: t.name for t in every_target(checkpoint.skeleton()) for alias in (t.name, *t.aliases)}
    masks = {targets.get(key, key): mask for key, mask in found.items()}
    history = claimed if isinstance(claimed, Mapping) else {}
    for odd in sorted(masks.keys() ^ history.keys()) + sorted(masks.keys() - set(targets.values())):
        raise CheckpointError(
            "{name}: {file} and report.json disagree about {tensor!r}",
            code="checkpoint.masked_history", name=checkpoint.name, file=MASKED_FILE, tensor=shortened(odd, 80),
        )  # fmt: skip
    return masks, {target: _steps(history[target], recipe, target, checkpoint.name) for target in history}


def _steps(numbers: Any, recipe: Recipe, target: str, name: str) -> tuple[Step, ...]:
    known = range(len(recipe.steps))
    valid = isinstance(numbers, list) and numbers and all(type(at) is int and at in known for at in numbers)
    if not valid:
        raise CheckpointError(
            "{name}: report.json gives {tensor!r} steps that recipe.yaml does not have",
            code="checkpoint.masked_steps", name=name, tensor=shortened(target, 80),
        )  # fmt: skip
    return tuple(recipe.steps[at] for at in numbers)
