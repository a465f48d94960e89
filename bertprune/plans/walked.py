"""Recipes that were really run, and what a model with them is and answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoint import Checkpoint
from ..data.held_back import Batches
from ..data.outputs import Output
from ..evaluation.metrics import Estimate
from ..forecast import Forecast
from ..model.coupled import COLUMNS, Coupled, find_coupled
from ..model.cuts import cut_model
from ..model.families import places
from ..model.macs import encoder_macs
from ..model.matching import find_targets
from ..parallel import Progress, one_of
from ..pruning.choose import Decision
from ..pruning.decide import decide
from ..pruning.working_copy import plain_copy, put
from ..recipe import Recipe
from ..runs.run import as_stored
from ..selection import Selection
from .measured import ROLES, clearly_less, mean_of

_AROUND = 16
"""Bytes of a safetensors file for the length of its header, and to fill that up."""


@dataclass(frozen=True, eq=False)
class Walked:
    """A recipe, and what a model that was pruned by it is."""

    recipe: Recipe
    drifts: Tensor
    """How far each answer to the texts held back is from that of the whole model."""
    losses: Tensor
    """How much each of them loses."""
    macs: float
    """The share of the encoder's multiply-accumulates that stays."""
    bytes: int
    sparsity: float

    @property
    def drift(self) -> float:
        """The mean of the drifts."""
        return float(self.drifts.mean())

    def forecast(self, output: Output, seed: int, spelled: float) -> Forecast:
        """Write what was measured, and what share of the texts' tokens is spelled out."""
        drift: Estimate = mean_of(self.drifts, seed)
        return Forecast(
            measure=output.measure, drift=drift.value, low=drift.low, high=drift.high, answers=len(self.drifts),
            macs=self.macs, bytes=self.bytes, sparsity=self.sparsity, spelled=spelled,
        )  # fmt: skip


@dataclass(eq=False)
class Ground:
    """What recipes are run on: a checkpoint's model, and texts of which some only tell how far the answers drift."""

    checkpoint: Checkpoint
    model: nn.Module
    batches: Batches
    output: Output
    dense: Tensor
    """What the whole model answers to the texts held back."""
    seed: int

    @cached_property
    def plain(self) -> nn.Module:
        """A copy of the model without hooks, in which what was masked is zero."""
        return plain_copy(self.model)

    @cached_property
    def header(self) -> int:
        """What names, dtypes, shapes and places take in the file of the weights: no less, as safetensors is shorter."""
        entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, one in self.plain.named_parameters():
            begin, end = end, end + bytes_of(name, one.numel(), self.checkpoint)
            about = {"dtype": self.checkpoint.source_dtype(name), "shape": list(one.shape)}
            entries[name] = {**about, "data_offsets": [begin, end]}
        return len(json.dumps(entries, separators=(",", ":"))) + _AROUND

    @property
    def length(self) -> float:
        """The mean number of tokens of a text."""
        return self.batches.tokens / self.batches.texts

    def walk(self, recipe: Recipe, progress: Progress) -> Walked:
        """Prune by a recipe as a run would, on the texts that are not held back, and measure on those that are."""
        fitted = self.batches.only(held_back=False).split()
        decision = decide(self.model, recipe, self.seed, self.checkpoint.missing, progress, fitted, self.output)
        pruned = self._pruned(decision)
        with torch.no_grad():
            answers = [self.output.rows(pruned, batch) for batch in self.batches.only(held_back=True).used]
        drifts, losses = (of(self.dense, torch.cat(answers)) for of in (self.output.drifts, self.output.losses))
        share = encoder_macs(pruned, self.length) / encoder_macs(self.plain, self.length)
        return Walked(recipe, drifts, losses, share, self.small_bytes(pruned), self._sparsity(decision))

    def best(self, recipes: Sequence[Recipe], progress: Progress) -> Walked:
        """Run recipes, and return the one that loses least; the first, the plainest, unless one clearly beats it."""
        walked = [self.walk(recipe, one_of(progress, number, len(recipes))) for number, recipe in enumerate(recipes)]
        best = min(walked, key=lambda one: float(one.losses.mean()))
        return best if clearly_less(best.losses, walked[0].losses) else walked[0]

    def small_bytes(self, model: nn.Module) -> int:
        """Return what the weights of a model take as stored, without the heads and neurons that give nothing."""
        sizes = (bytes_of(name, one.numel(), self.checkpoint) for name, one in model.named_parameters())
        gone = 0.0
        for kind in COLUMNS:
            for one in find_coupled(model, kind, Selection()):
                alive = len(set(one.columns[one.output.parameter.detach().any(dim=0).cpu()].tolist()))
                gone += (one.number - max(1, alive)) * bytes_per_group(one, self.checkpoint)
        return round(sum(sizes) - gone)

    def _pruned(self, decision: Decision) -> nn.Module:
        """Return a copy of the model with the values of a decision, as they would be stored."""
        copy, values = plain_copy(self.model), as_stored(decision.values, self.checkpoint)
        cut_model(copy, decision.cut)
        for name, mask in decision.masks.items():
            target = decision.targets[name]
            put(copy, target, values.get(name, target.parameter.detach()) * mask)
        return copy

    def _sparsity(self, decision: Decision) -> float:
        """Return the share of the weights of the encoder's layers that goes."""
        targets = {target.name: target for target in find_targets(self.model, Selection(roles=ROLES))}
        where = places(self.model)
        cut = {name for name, one in targets.items() if where[one.owners[0].path].layer in decision.cut.layers}
        stays = sum(decision.alive(target) for name, target in targets.items() if name not in cut)
        return 1 - stays / sum(target.parameter.numel() for target in targets.values())


def bytes_per_group(one: Coupled, checkpoint: Checkpoint) -> float:
    """Return what one head or neuron takes as stored: its share of each of its tensors."""
    sizes = {target.name: target.parameter.numel() for target in one.targets}
    sizes |= dict.fromkeys(one.vectors, len(one.columns))
    return sum(bytes_of(name, numbers, checkpoint) for name, numbers in sizes.items()) / one.number


def bytes_of(name: str, numbers: int, checkpoint: Checkpoint) -> int:
    """Return what so many numbers of a parameter take in the checkpoint's own dtype."""
    dtype: torch.dtype = getattr(torch, checkpoint.source_dtype(name))
    return numbers * dtype.itemsize
