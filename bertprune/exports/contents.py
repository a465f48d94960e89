"""What an export consists of: the run as plain data, and the tensors of its weight file."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..checkpoint.loading import WIDENED
from ..checkpoint.masked import MaskedFolder
from ..checkpoint.weights import MASKED_FILE
from ..errors import CheckpointError
from ..model.hooks import MaskDtype
from ..model.targets import every_target
from ..recipe import Recipe
from ..reports.sparsity import SparsityReport, sparsity
from ..scores import methods
from ..version import __version__
from .folder import REPORT_KEY

if TYPE_CHECKING:
    from ..runs.run import PruningRun

Form = Literal["baked", "masked"]
WEIGHT_FILES: dict[Form, str] = {"baked": "model.safetensors", "masked": MASKED_FILE}
"""The weight file of each form."""

_NOT_RECORD = ("form", "files", "source", "seed", "sparsity")
"""Keys of `report.json` that every export writes again."""


@dataclass(frozen=True)
class Origin:
    """Where the weights came from, without any path of this machine."""

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


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the pruned model's state dict."""

    name: str
    """Such as `weight`; `weight_orig` and `weight_mask` where the form keeps masks."""
    dense_name: str
    """The name in the model without hooks."""
    dense_value: Tensor
    mask: Tensor | None = None

    @property
    def value(self) -> Tensor:
        """Compute the value, float32 for weights; a masked value of a baked tensor is zero, with torch's sign."""
        return self.dense_value if self.mask is None else self.dense_value * self.mask


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that an export is made of, whichever form it takes; no model with hooks is needed."""

    checkpoint: Checkpoint
    recipe: Recipe
    seed: int
    masks: Mapping[str, Tensor]
    """The masks by target name: bool, True is alive."""
    origin: Origin
    sparsity: SparsityReport
    record: dict[str, Any]
    """The rest of `report.json`: versions, methods, what each step did, and which steps touched which tensor."""

    @classmethod
    def of(cls, run: "PruningRun") -> "Contents":
        """Gather the contents of a run; its model is not built."""
        origin = Origin.of(run.checkpoint)
        return cls(run.checkpoint, run.recipe, run.seed, run.masks, origin, run.report, _record(run))

    @classmethod
    def of_folder(cls, opened: MaskedFolder) -> "Contents":
        """Gather the contents of a masked folder, as those of the run that made it. Raises CheckpointError."""
        name, report = opened.checkpoint.name, opened.report
        seed = report.get("seed")
        if not isinstance(seed, int) or isinstance(seed, bool):
            sentence = "{name}: report.json has no seed; the export is damaged"
            raise CheckpointError(sentence, code="exports.no_seed", name=name)
        origin = Origin.of_report(report.get("source"), name)
        record = {key: value for key, value in report.items() if key not in _NOT_RECORD}
        # the sparsity is counted again: what the report says may not be what the file holds
        counted = sparsity(opened.model())
        return cls(opened.checkpoint, opened.recipe, seed, opened.masks, origin, counted, record)

    @property
    def mask_dtype(self) -> MaskDtype:
        """The dtype of the masks on the pruned model; in a file they are bool."""
        return "float" if self.record.get("mask_dtype") == "float" else "bool"

    def entries(self, form: Form) -> Iterator[Entry]:
        """Yield every entry of the pruned model's state dict; masks hold forevery name of a tied tensor."""
        model, masks = self.checkpoint.model(self.seed), self.masks
        named = {name: masks[t.name] for t in every_target(model) if t.name in masks for name in (t.name, *t.aliases)}
        for name, value in model.state_dict().items():
            mask = named.get(name)
            if mask is None or form == "baked":
                yield Entry(name, name, value, mask)
            else:
                yield Entry(name + "_orig", name, value)
                yield Entry(name + "_mask", name, mask)

    def tensors(self, form: Form) -> dict[str, Tensor]:
        """Compute what the weight file holds: tied tensors once, everything in the dtype of the source."""
        duplicates = _tied_duplicates(self.checkpoint.model(self.seed))
        return {
            entry.name: entry.value.to(self._dtype(entry)).contiguous()
            for entry in self.entries(form)
            if entry.dense_name not in duplicates
        }

    def _dtype(self, entry: Entry) -> torch.dtype:
        """Return the dtype to store: that of the source, where loading widened it and the source has the tensor."""
        source = self.checkpoint.source_dtype(entry.dense_name)
        widened = entry.dense_value.dtype == torch.float32 and source in WIDENED
        narrow = widened and entry.dense_name not in self.checkpoint.missing
        dtype: torch.dtype = getattr(torch, source) if narrow else entry.dense_value.dtype
        return dtype


def _tied_duplicates(model: nn.Module) -> frozenset[str]:
    """Name the tied tensors that transformers leaves out of a file and ties again when it loads."""
    known = getattr(model, "all_tied_weights_keys", None) or {}
    duplicates: set[str] = set()
    for target in every_target(model, shared_modules=True):
        names = (target.name, *target.aliases)
        kept = [name for name in names if name not in known] or names[:1]
        duplicates.update(set(names).difference(kept))
    return frozenset(duplicates)


def _record(run: "PruningRun") -> dict[str, Any]:
    """Record how the masks were made; nothing depends on the clock or the machine."""
    history: dict[str, list[int]] = {}
    for number, outcome in enumerate(run.steps):
        for tensor in outcome.tensors:
            history.setdefault(tensor.name, []).append(number)
    used = {name: methods()[name] for name in sorted({step.method for step in run.recipe.steps})}
    return {
        REPORT_KEY: __version__,
        "versions": {name: version(name) for name in ("torch", "transformers", "safetensors")},
        "methods": {
            name: {"title": method.title, "paper": method.paper, "defined_in": method.rule.__module__}
            for name, method in used.items()
        },
        "steps": [
            {"step": str(outcome.step), "removed": outcome.removed, "alive_before": outcome.alive_before}
            | {"tensors": [asdict(tensor) for tensor in outcome.tensors]}
            for outcome in run.steps
        ],
        "history": history,
        "mask_dtype": run.mask_dtype,
    }
