"""Checkpoint: one source of weights, opened by its headers, built into models when asked."""

import copy
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError, MissingTensorsWarning
from ..parallel import Progress, silent
from .architecture import build_config, check_parameters, check_sizes, find_class
from .facts import Facts, TensorFact, main_dtype
from .network import Unreachable
from .source import Source, resolve
from .tokenizer import load_tokenizer
from .tokenizer_files import tokenizer_files

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedTokenizerBase


class Checkpoint:
    """Hold what one checkpoint is, and build models from it; the checkpoint itself is never written."""

    def __init__(self, source: Source) -> None:
        """Work out from headers alone what the model will be; `Checkpoint.open` is the way in."""
        from .loading import plan

        self._source = source
        self.name = source.name
        self.hub_id = source.hub_id
        self.revision = source.revision
        stored = source.weights.tensors
        check_sizes(source.config, stored, self.name)
        self.config, notes = build_config(source.config, stored, self.name)
        self._class, more_notes = find_class(source.config, self.config, self.name)
        self._plan = plan(self._class, self.config, source.weights, self.name)
        check_parameters(self._plan.skeleton, stored, self.name)
        if source.seed is None and not self._plan.stored_as:
            raise CheckpointError(f"{self.name} holds none of the tensors that {self._class.__name__} expects")
        self.missing = self._plan.missing if source.seed is None else frozenset()
        self.facts = self._facts((*source.notes, *notes, *more_notes, *self._leftovers()))
        self._lock = threading.RLock()
        self._pristine: tuple[int, nn.Module] | None = None

    @classmethod
    def open(
        cls,
        source: "str | Path | Checkpoint",
        *,
        revision: str | None = None,
        local: bool = True,
        largest: int | None = None,
    ) -> "Checkpoint":
        """Open a checkpoint by its headers; no weight is read.

        `source` is "demo", "demo-mlm" or "kobert-shape", a local folder, a .safetensors file with its
        config.json beside it, or an id of the Hub ("org/name", "org/name@revision"). An id that is cached
        here is taken from the cache, without asking the Hub. With `local=False` no path is: whoever names the
        source has no business on this machine. Weight files of more than `largest` bytes are refused before
        they are fetched, with a TooLargeError. Tensors that the architecture expects and the files lack are
        named in a MissingTensorsWarning. Raises CheckpointError.
        """
        if isinstance(source, Checkpoint):
            if revision not in (None, source.revision):
                raise CheckpointError(f"{source.name} is open already; a revision is given with the id of the Hub")
            return source
        if not isinstance(source, (str, Path)):
            raise CheckpointError(f"{type(source).__name__} names no checkpoint; a name, a path or an id is expected")
        opened = cls(resolve(source, revision, local=local, largest=largest))
        if opened.missing:
            warnings.warn(opened._lack(), MissingTensorsWarning, stacklevel=2)
        return opened

    def skeleton(self) -> "nn.Module":
        """Return the model on the meta device: every shape, no value. It is shared: do not change it."""
        return self._plan.skeleton

    def model(self, seed: int = 0, progress: Progress = silent) -> "nn.Module":
        """Return the shared model in float32, eval mode. It is built once: do not change it.

        Tensors that are `missing` are initialised from `seed`; files that lie on the Hub come first. Raises
        CheckpointError.
        """
        with self._lock:
            seed = self._effective(seed)
            if self._pristine is None:
                self._pristine = (seed, self._build(seed, progress))
            elif self._pristine[0] != seed:
                self._pristine = (seed, self._reseeded(self._pristine[1], seed))
            return self._pristine[1]

    def load(self, seed: int = 0, progress: Progress = silent) -> "nn.Module":
        """Build a model of your own, sharing nothing: float32, eval mode, `missing` initialised from `seed`."""
        seed = self._effective(seed)
        with self._lock:
            kept = self._pristine
        if kept is None or kept[0] != seed:
            return self._build(seed, progress)
        progress(0.0, f"copying {self.name}")
        mine = copy.deepcopy(kept[1])
        progress(1.0, f"copied {self.name}")
        return mine

    def release(self) -> None:
        """Let the shared model go; the next call builds it again."""
        with self._lock:
            self._pristine = None

    def source_dtype(self, name: str) -> str:
        """Return the dtype in which the files hold a parameter of the model; the main one if they do not."""
        return self._plan.stored_as.get(name, self.facts.dtype)

    def tokenizer(self, other: str | Path | None = None, *, local: bool = True) -> "PreTrainedTokenizerBase":
        """Load the checkpoint's tokenizer, or that of `other` (a folder, an id of the Hub, an embedded name).

        With `local=False`, `other` is no folder. Raises CheckpointError where there is none, or where it would
        need code from the checkpoint.
        """
        return load_tokenizer(self._source, other, local=local)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the local weight files; none where weights are made on demand or lie on the Hub."""
        return tuple(getattr(self._source.weights, "paths", ()))

    @property
    def tokenizer_files(self) -> tuple[Path, ...]:
        """Return the tokenizer's local files, to be copied beside an export; never code.

        None where the Hub cannot be reached for them: the weights are worth exporting all the same.
        """
        try:
            return tokenizer_files(self._source.tokenizer_folder())
        except Unreachable:
            return ()

    def __repr__(self) -> str:
        """Show the name and the class."""
        return f"Checkpoint({self.name!r}, {self.facts.architecture}, {self.facts.parameters:,} parameters)"

    def _effective(self, seed: int) -> int:
        if self._source.seed is not None:
            return self._source.seed
        return seed if self.missing else 0

    def _build(self, seed: int, progress: Progress) -> "nn.Module":
        from .loading import build

        self._source.weights.fetch(progress)
        return build(self._class, self.config, self._source.weights, self.name, seed, progress)

    def _reseeded(self, model: "nn.Module", seed: int) -> "nn.Module":
        from .loading import rebuild

        kept = {name: value for name, value in model.state_dict().items() if name not in self.missing}
        return rebuild(self._class, self.config, kept, self.name, seed)

    def _facts(self, notes: tuple[str, ...]) -> Facts:
        weights = self._source.weights
        tensors = weights.tensors or tuple(
            TensorFact(name, tuple(value.shape), "float32") for name, value in self.skeleton().named_parameters()
        )
        return Facts(
            architecture=self._class.__name__,
            model_type=str(self.config.model_type),
            parameters=sum(parameter.numel() for parameter in self.skeleton().parameters()),
            dtype=main_dtype(tensors),
            bytes=weights.bytes,
            tensors=tensors,
            files=weights.files,
            notes=notes,
        )

    def _leftovers(self) -> list[str]:
        notes = []
        if left := self._plan.unexpected:
            notes.append(f"{len(left)} stored tensors have no place in {self._class.__name__}: {_some(left)}.")
        if self.missing:
            notes.append(self._lack() + ".")
        if apart := sorted(self._plan.untied):
            notes.append(f"The config ties {_some(apart)}, and the files hold other values for it; it is not tied.")
        return notes

    def _lack(self) -> str:
        return (
            f"{self.name} lacks {len(self.missing)} tensors that {self._class.__name__} expects:"
            f" {_some(sorted(self.missing))}; they are initialised from the seed and never pruned"
        )


def _some(names: "list[str] | tuple[str, ...]", most: int = 5) -> str:
    listed = ", ".join(name[:100] for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
