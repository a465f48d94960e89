"""The models of one checkpoint: its shapes, one that everyone shares, and copies of that."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ..model.copies import copied
from ..model.state import state_of
from ..parallel import Progress, silent
from .loading import Layout, build, rebuild
from .masked import Pruning
from .source import Source
from .weights import Weights

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(eq=False)
class Models:
    """Build the models of a checkpoint, with hooks and masks where it holds a pruned one."""

    cls: "type[PreTrainedModel]"
    config: "PreTrainedConfig"
    source: Source
    weights: Weights
    layout: Layout
    pruning: Pruning | None
    missing: frozenset[str]
    _shared: "tuple[int, nn.Module] | None" = field(default=None, init=False)
    _skeleton: "nn.Module | None" = field(default=None, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def skeleton(self) -> "nn.Module":
        """Return the shared model without values; its masks, if any, are read now. Raises CheckpointError."""
        with self._lock:
            if self._skeleton is None:
                if self.pruning is not None:
                    self.pruning.attach(self.layout.skeleton)
                self._skeleton = self.layout.skeleton
            return self._skeleton

    def shared(self, seed: int, progress: Progress) -> "nn.Module":
        """Return the model that is built once; another seed changes only what the files lack."""
        with self._lock, torch.inference_mode(False):  # another call may train what it gets
            seed = self._effective(seed)
            if self._shared is None:
                self._shared = (seed, self._pruned(self._build(seed, progress)))
            elif self._shared[0] != seed:
                state = state_of(self._shared[1]).dense
                stored = {name: value for name, value in state.items() if name not in self.missing}
                dense = rebuild(self.cls, self.config, stored, self.source.name, seed)
                self._shared = (seed, self._pruned(dense))
            return self._shared[1]

    def load(self, seed: int, progress: Progress) -> "nn.Module":
        """Build a model that shares nothing."""
        seed = self._effective(seed)
        with self._lock:
            shared = self._shared
        with torch.inference_mode(False):  # yours to train
            if shared is None or shared[0] != seed:
                return self._pruned(self._build(seed, progress))
            progress(0.0, f"copying {self.source.name}")
            mine = copied(shared[1])
        progress(1.0, f"copied {self.source.name}")
        return mine

    def release(self) -> None:
        """Drop the shared model from memory."""
        with self._lock:
            self._shared = None

    def _build(self, seed: int, progress: Progress = silent) -> "nn.Module":
        self.source.check_unchanged()
        model = build(self.cls, self.config, self.weights, self.source.name, seed, progress)
        self.source.check_unchanged()
        return model

    def _pruned(self, dense: "nn.Module") -> "nn.Module":
        if self.pruning is not None:
            self.pruning.attach(dense)
        return dense

    def _effective(self, seed: int) -> int:
        """Return the seed to use: its own for a random checkpoint, and the same one where nothing is random."""
        if self.source.seed is not None:
            return self.source.seed
        return seed if self.missing else 0
