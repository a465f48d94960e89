"""How a stored model was pruned: its masks, and the steps that made them where the folder records them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import CheckpointError, Note, RecipeError, shortened
from ..model.hooks import HOOK_MAKERS, TORCH_METHODS, Made, MaskDtype, attach, can_make, hook_name
from ..model.targets import Target, every_target
from ..recipe import Recipe
from ..step import Step
from .json_files import read_object
from .loading import Home, Layout
from .pruned_weights import PrunedWeights
from .weight_files import MASKED_FILE

UNKNOWN = "CustomFromMask"
"""The name of the hook where nothing says what made a mask, as torch's `custom_from_mask` leaves it."""
_LONGEST_NAME = 100
_BUILT_IN = "bertprune."
"""What the place of a method begins with that comes with bertprune."""


@dataclass(frozen=True, eq=False)
class Pruning:
    """The masks of a checkpoint that holds a pruned model, and their history."""

    weights: PrunedWeights
    homes: dict[str, tuple[Home, ...]]
    """Where the masks of each target are stored, under the names of their tensors."""
    history: dict[str, tuple[Made, ...]]
    """What made the masks of each target: steps, or the classes of hooks."""
    recipe: Recipe | None = None
    report: dict[str, Any] = field(default_factory=dict)
    """The content of `report.json`; empty where none of ours says how the masks were made."""

    @property
    def mask_dtype(self) -> MaskDtype:
        """Return the dtype of the masks on the model."""
        return "float" if self.report.get("mask_dtype") == "float" else "bool"

    def masks(self) -> dict[str, Tensor]:
        """Read the masks by target name; raises CheckpointError where the names of a tied tensor disagree."""
        stored = self.weights.masks()
        masks: dict[str, Tensor] = {}
        for target, homes in self.homes.items():
            for home in homes:
                mask = home.part_of(stored[home.fact.name])
                if not masks.setdefault(target, mask).equal(mask):
                    raise _one_owner(self.weights.files[0], home.fact.name, homes[0].fact.name)
        return masks

    @property
    def own_methods(self) -> dict[str, str]:
        """Return where the methods are defined that did not come with bertprune, by name."""
        listed = self.report.get("methods")
        described = listed.items() if isinstance(listed, dict) else ()
        places = {name: method.get("defined_in") for name, method in described if isinstance(method, dict)}
        return {
            name: place for name, place in places.items() if isinstance(place, str) and not place.startswith(_BUILT_IN)
        }

    def attach(self, model: nn.Module) -> None:
        """Put hooks and masks on the dense model, in place; the methods that made the masks need not be here."""
        history = {target: [self._hook(one) for one in made] for target, made in self.history.items()}
        attach(model, self.masks(), history, self.mask_dtype)

    def _hook(self, made: Made) -> Made:
        """Return a step whose method is here as it was then, else the name that its hook had."""
        if isinstance(made, str):
            return made
        is_last = self.recipe is not None and made in self.recipe.steps  # of earlier ones the report knows no method
        if is_last and made.method in TORCH_METHODS and made.method not in self.own_methods:
            return made
        is_other = made.method in self.own_methods and HOOK_MAKERS.get(made.method) is TORCH_METHODS.get(made.method)
        return hook_name(made) if is_other or not can_make(made) else made

    def notes(self) -> Iterator[Note]:
        """Say what a reader should know of the masks."""
        yield Note("A pruned model: {count:,} of its tensors have masks.", code="note.pruned", count=len(self.homes))
        for name, place in self.own_methods.items():
            yield Note(
                "Masks were made by the method {method}, defined in {place}; they are read as they are, without it.",
                code="note.own_method", method=shortened(name), place=shortened(place),
            )  # fmt: skip


def find_pruning(layout: Layout, weights: PrunedWeights, folder: Path | None, name: str) -> Pruning:
    """Work out from headers, and from our report if there is one, how a model was pruned. Raises CheckpointError."""
    report = _report(folder, name)
    homes = dict(_masked(layout, weights, is_ours=bool(report) or MASKED_FILE in weights.files))
    if not report:
        return Pruning(weights, homes, dict.fromkeys(homes, (UNKNOWN,)))
    claimed = report.get("history")
    history = claimed if isinstance(claimed, Mapping) else {}
    for odd in sorted(homes.keys() ^ history.keys()):
        raise CheckpointError(
            "{name}: {file} and report.json disagree about {tensor!r}",
            code="checkpoint.masked_history", name=name, file=MASKED_FILE, tensor=shortened(odd, 80),
        )  # fmt: skip
    recipe = _recipe(folder, name)
    read = {target: tuple(_made(history[target], recipe, target, name)) for target in history}
    return Pruning(weights, homes, read, recipe, report)


def _masked(layout: Layout, weights: PrunedWeights, is_ours: bool) -> Iterator[tuple[str, tuple[Home, ...]]]:
    """Yield each target that has a mask, with where its masks are: wherever its values come from."""
    file, masked, left = weights.files[0], set(weights.masked), set(weights.masked)
    for target in every_target(layout.skeleton, shared_modules=True):
        here = [layout.homes[name] for name in (target.name, *target.aliases) if name in layout.homes]
        names = {home.fact.name for home in here}
        if found := masked & names:
            if plain := names - found:
                raise _one_owner(file, min(found), min(plain))
            if not is_ours:
                _check_owners(target, names, file)
            left -= found
            yield target.name, tuple(here)
    for odd in sorted(left):
        raise CheckpointError(
            "{file} holds a mask for {tensor!r}, which the model does not have",
            code="checkpoint.mask_of_nothing", file=file, tensor=shortened(odd, 80),
        )  # fmt: skip


def _check_owners(target: Target, stored: set[str], file: str) -> None:
    """Refuse a tied tensor that is stored once: its mask may have been on one owner. Raises CheckpointError."""
    owners = {id(owner.module): owner.name for owner in target.owners}
    if len(owners) > len(stored):
        one, other, *_ = owners.values()
        raise CheckpointError(
            "{file}: {tensor!r} and {other!r} are one tied tensor, stored once with a mask: which of them was pruned"
            " is not known; bake the model before saving it (bp.bake), or use bp.export(model, out, like=checkpoint)",
            code="checkpoint.tied_mask_stored_once", file=file, tensor=shortened(one, 80), other=shortened(other, 80),
        )  # fmt: skip


def _one_owner(file: str, name: str, other: str) -> CheckpointError:
    return CheckpointError(
        "{file}: {tensor!r} and {other!r} are one tied tensor with different masks;"
        " bake the model (bp.bake, or torch's prune.remove) before saving it",
        code="checkpoint.tied_masks", file=file, tensor=shortened(name, 80), other=shortened(other, 80),
    )  # fmt: skip


def _report(folder: Path | None, name: str) -> dict[str, Any]:
    """Read our report of a masked export; empty where there is none."""
    if folder is None or not (folder / "report.json").exists():
        return {}
    report = read_object(folder / "report.json", f"{name}: report.json")
    return report if report.get("form") == "masked" else {}


def _recipe(folder: Path | None, name: str) -> Recipe | None:
    """Read the recipe; None for an export of a model whose recipe was not known."""
    if folder is None or not (folder / "recipe.yaml").exists():
        return None
    try:
        return Recipe.load(folder / "recipe.yaml")
    except RecipeError as error:
        raise CheckpointError("{name}: {error}", code="checkpoint.masked_recipe", name=name, error=error) from None


def _made(listed: Any, recipe: Recipe | None, target: str, name: str) -> Iterator[Made]:
    """Read what made a mask: numbers of the recipe's steps, steps of earlier recipes, or classes of hooks."""
    steps = recipe.steps if recipe else ()
    for one in listed if isinstance(listed, list) and listed else [None]:
        if type(one) is int and recipe is None:
            raise CheckpointError(
                "{name}: report.json refers to the steps of recipe.yaml, which is not there: put it back, or remove"
                " report.json too, to open the masks without their steps",
                code="checkpoint.no_recipe", name=name,
            )  # fmt: skip
        if type(one) is int and 0 <= one < len(steps):
            yield steps[one]
        elif isinstance(one, str) and one.isidentifier() and len(one) <= _LONGEST_NAME:
            yield one
        elif isinstance(one, dict):
            yield _earlier(one, target, name)
        else:
            raise CheckpointError(
                "{name}: report.json gives {tensor!r} steps that recipe.yaml does not have",
                code="checkpoint.masked_steps", name=name, tensor=shortened(target, 80),
            )  # fmt: skip


def _earlier(data: dict[str, Any], target: str, name: str) -> Step:
    try:
        return Recipe.from_json(json.dumps({"steps": [data]})).steps[0]
    except RecipeError as error:
        raise CheckpointError("{name}: {error}", code="checkpoint.masked_recipe", name=name, error=error) from None
