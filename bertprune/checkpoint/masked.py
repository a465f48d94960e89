"""Read a folder in masked form back: the dense checkpoint, the masks, and which steps made them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, RecipeError
from ..model.hooks import MaskDtype, attach
from ..model.targets import every_target, targets_by_name
from ..recipe import Recipe, Step
from .checkpoint import Checkpoint
from .facts import TensorFact
from .reading import read_object
from .source import Source, folder_config
from .weights import Read, SafetensorsWeights

MASKED_FILE = "masked.safetensors"
"""The weight file of the masked form; no other loader looks for that name, so plain `from_pretrained` fails on it."""

_MASKS = ("bool", "uint8")


class MaskedWeights(SafetensorsWeights):
    """Show the dense tensors of a masked file under the names that the model without hooks has for them."""

    def __init__(self, path: Path) -> None:
        """Read the header; raises CheckpointError where masks and tensors do not belong together."""
        super().__init__((path,))
        shapes = {fact.name: fact for fact in self.tensors}
        self.masked = tuple(name[:-5] for name in shapes if name.endswith("_mask") and name[:-5] + "_orig" in shapes)
        for name in self.masked:
            mask, dense = shapes[name + "_mask"], shapes[name + "_orig"]
            if name in shapes:
                raise CheckpointError(f"{path.name} holds {name[:80]!r} with a mask and without; once is expected")
            if mask.shape != dense.shape or mask.dtype not in _MASKS:
                raise CheckpointError(f"{path.name}: the mask of {name[:80]!r} does not fit its tensor")
        self._stored = {name: name + "_orig" for name in self.masked}
        hidden = {name + end for name in self.masked for end in ("_orig", "_mask")}
        dense_facts = (
            TensorFact(name, shapes[name + "_orig"].shape, shapes[name + "_orig"].dtype) for name in self.masked
        )
        self.tensors = (*(fact for fact in self.tensors if fact.name not in hidden), *dense_facts)

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Open the file; tensors are asked for by their dense names."""
        with super().reader() as read:
            yield lambda name: read(self._stored.get(name, name))

    def masks(self) -> dict[str, Tensor]:
        """Read all masks, by the dense names of their tensors. Raises CheckpointError."""
        with super().reader() as read:
            return {name: read(name + "_mask").to(torch.bool, copy=True) for name in self.masked}


@dataclass(frozen=True, eq=False)
class MaskedFolder:
    """A folder in masked form, opened and checked."""

    checkpoint: Checkpoint
    """The dense model, as it was before pruning."""
    masks: dict[str, Tensor]
    """By target name."""
    recipe: Recipe
    history: dict[str, tuple[Step, ...]]
    """The steps that touched each target, by target name."""
    report: dict[str, Any]
    """What `report.json` says."""

    def model(self) -> nn.Module:
        """Build the model with its hooks, masks and history."""
        model = self.checkpoint.load()
        mask_dtype: MaskDtype = "float" if self.report.get("mask_dtype") == "float" else "bool"
        attach(targets_by_name(model), self.masks, self.history, mask_dtype)
        return model


def is_masked(folder: str | Path) -> bool:
    """Tell whether a folder is in masked form."""
    return (Path(folder) / MASKED_FILE).is_file()


def open_masked(folder: str | Path) -> MaskedFolder:
    """Open a folder in masked form; no code of it is run, and nothing in it is believed. Raises CheckpointError."""
    folder = Path(folder)
    name = folder.resolve().name
    report = read_object(folder / "report.json", f"{name}: report.json")
    recipe = _recipe(folder, name)
    weights = MaskedWeights(folder / MASKED_FILE)
    source = Source(name, folder_config(folder, name), weights, lambda: folder)
    checkpoint = Checkpoint(source)
    if checkpoint.missing:
        raise CheckpointError(f"{name}: {MASKED_FILE} lacks {min(checkpoint.missing)!r}; the export is not whole")
    masks, history = _matched(checkpoint, weights.masks(), report.get("history"), recipe, name)
    return MaskedFolder(checkpoint, masks, recipe, history, report)


def _recipe(folder: Path, name: str) -> Recipe:
    try:
        return Recipe.load(folder / "recipe.yaml")
    except RecipeError as error:
        raise CheckpointError(f"{name}: {error}") from None


def _matched(
    checkpoint: Checkpoint, found: dict[str, Tensor], said: Any, recipe: Recipe, name: str
) -> tuple[dict[str, Tensor], dict[str, tuple[Step, ...]]]:
    """Bring masks and history together by target; each must know the other. Raises CheckpointError."""
    targets = {alias: t.name for t in every_target(checkpoint.skeleton()) for alias in (t.name, *t.aliases)}
    masks = {targets.get(key, key): mask for key, mask in found.items()}
    history = said if isinstance(said, Mapping) else {}
    for odd in sorted(masks.keys() ^ history.keys()) + sorted(masks.keys() - set(targets.values())):
        raise CheckpointError(f"{name}: {MASKED_FILE} and report.json do not agree about {odd[:80]!r}")
    return masks, {target: _steps(history[target], recipe, target, name) for target in history}


def _steps(numbers: Any, recipe: Recipe, target: str, name: str) -> tuple[Step, ...]:
    known = range(len(recipe.steps))
    whole = isinstance(numbers, list) and numbers and all(type(at) is int and at in known for at in numbers)
    if not whole:
        raise CheckpointError(f"{name}: report.json gives {target!r} steps that recipe.yaml does not have")
    return tuple(recipe.steps[at] for at in numbers)
