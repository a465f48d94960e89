"""Where an export comes from: the checkpoint that was pruned, and, where that is an export too, how it was made."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..checkpoint import Checkpoint
from ..checkpoint.json_files import read_object
from ..errors import BertpruneError, CheckpointError
from ..recipe import Recipe
from .folder import REPORT_KEY

_WRITTEN_ANEW = {
    *("form", "files", "source", "seed", "sparsity", "changed", "loads", "small", "onnx", "dtype", "drift", "earlier")
}
"""Keys of `report.json` that say nothing of how the masks were made, or have a place of their own."""


@dataclass(frozen=True)
class Origin:
    """The checkpoint that was pruned, without any path of this machine."""

    name: str
    hub_id: str | None
    revision: str | None
    architecture: str
    model_type: str
    dtype: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Origin":
        """Describe a checkpoint."""
        facts = checkpoint.facts
        return cls(
            name=checkpoint.name.encode("utf-8", "replace").decode(),
            hub_id=checkpoint.hub_id,
            revision=checkpoint.revision,
            architecture=facts.architecture,
            model_type=facts.model_type,
            dtype=facts.dtype,
        )

    @classmethod
    def of_report(cls, source: Any, name: str) -> "Origin":
        """Read the description of the source from the report of the export `name`. Raises CheckpointError."""
        try:
            origin = cls(**source)
        except TypeError:
            sentence = "{name}: report.json does not describe the source checkpoint; the export is damaged"
            raise CheckpointError(sentence, code="exports.no_source", name=name) from None
        texts = (origin.name, origin.architecture, origin.model_type, origin.dtype)
        optional = (origin.hub_id, origin.revision)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(o, str | None) for o in optional):
            sentence = "{name}: report.json describes the source checkpoint by something other than text"
            raise CheckpointError(sentence, code="exports.source_not_text", name=name)
        return origin


@dataclass(frozen=True)
class Making:
    """How an export was made."""

    origin: Origin
    recipe: Recipe | None
    """None where it is not known."""
    seed: int | None
    record: Mapping[str, Any] = field(default_factory=dict)
    """What else its report says of that, which may be anything; `history` lists what made the masks that it has."""
    changed: tuple[str, ...] = ()
    """The tensors that were trained or changed by hand."""
    earlier: tuple["Making", ...] = ()
    """How its source was made, where that was an export, and the source of that, and so on; the first one first."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Making | None":
        """Read how a checkpoint was made; None where it is not an export, or has a report that cannot be read.

        Raises CheckpointError for a damaged report that the masks of the checkpoint depend on.
        """
        pruning, name = checkpoint.pruning, checkpoint.name
        if pruning is not None:
            return cls._of_report(pruning.report, pruning.recipe, name) if pruning.report else None
        folder = checkpoint.folder()
        try:
            return None if folder is None else cls._of_folder(folder, name)
        except BertpruneError:
            return None

    @classmethod
    def _of_folder(cls, folder: Path, name: str) -> "Making | None":
        file, recipe = folder / "report.json", folder / "recipe.yaml"
        report = read_object(file, name) if file.is_file() else {}
        if REPORT_KEY not in report:
            return None
        without_masks = {**report, "history": {}}
        return cls._of_report(without_masks, Recipe.load(recipe) if recipe.exists() else None, name)

    @classmethod
    def _of_report(cls, report: Mapping[str, Any], recipe: Recipe | None, name: str) -> "Making":
        seed, changed, earlier = (report.get(key) for key in ("seed", "changed", "earlier"))
        history = listed if isinstance(listed := report.get("history"), dict) else {}
        if recipe is not None and type(seed) is not int:
            sentence = "{name}: report.json has no seed; the export is damaged"
            raise CheckpointError(sentence, code="exports.no_seed", name=name)
        return cls(
            origin=Origin.of_report(report.get("source"), name),
            recipe=recipe,
            seed=seed if recipe is not None else None,
            record={key: value for key, value in report.items() if key not in _WRITTEN_ANEW} | {"history": history},
            changed=tuple(one for one in changed if isinstance(one, str)) if isinstance(changed, list) else (),
            earlier=tuple(cls._of_plain(one, name) for one in earlier) if isinstance(earlier, list) else (),
        )

    @classmethod
    def _of_plain(cls, listed: Any, name: str) -> "Making":
        given = listed if isinstance(listed, dict) else {}
        steps = given.get("recipe")
        recipe = Recipe.of(steps) if isinstance(steps, dict) else None
        return cls._of_report({key: given.get(key) for key in ("source", "seed")}, recipe, name)

    def plain(self) -> dict[str, Any]:
        """Return what the report of a later export says of it."""
        recipe = None if self.recipe is None else json.loads(self.recipe.to_json())
        return {"source": asdict(self.origin), "seed": self.seed, "recipe": recipe}


def lineage(checkpoint: Checkpoint) -> tuple[Making, ...]:
    """Return how a checkpoint was made that is an export, and its source, and so on; the first one first."""
    made = Making.of(checkpoint)
    return () if made is None else (*made.earlier, made)


def removed_layers(record: Mapping[str, Any]) -> list[int]:
    """Return which layers of its source a folder lacks, as its record says, which may be anything."""
    layers = _removed(record).get("layers")
    return [layer for layer in layers if type(layer) is int and layer >= 0] if isinstance(layers, list) else []


def removed_tokens(record: Mapping[str, Any]) -> int:
    """Return how many tokens of its source a folder lacks, as its record says, which may be anything."""
    tokens = _removed(record).get("tokens")
    return tokens if type(tokens) is int and tokens > 0 else 0


def _removed(record: Mapping[str, Any]) -> Mapping[str, Any]:
    removed = record.get("removed")
    return removed if isinstance(removed, dict) else {}
