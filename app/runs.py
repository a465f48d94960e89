"""What a visitor names: a checkpoint, texts, a run; small frozen values from which everything can be made again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import bertprune as bp

from .offers import reads_texts

EMBEDDED = ("demo", "demo-mlm", "kobert-shape")


@dataclass(frozen=True)
class Source:
    """Which checkpoint a visitor has open."""

    given: str = ""
    """The argument of `Checkpoint.open`; empty where nothing is open."""
    revision: str | None = None
    folder: str | None = None
    """The temporary folder of an upload, removed after the session."""
    shown: str | None = None
    """The name to show for an upload."""
    local: bool = True
    """Whether `given` may be a path of this machine."""

    def __bool__(self) -> bool:
        """Return whether a checkpoint is open."""
        return bool(self.given)

    @property
    def is_embedded(self) -> bool:
        """Return whether it comes with the package; these share the texts of the demo."""
        return self.given in EMBEDDED


@dataclass(frozen=True)
class TextFile:
    """An uploaded file of texts; two of the same content are equal, so that their runs are shared."""

    sha256: str
    """The hash of its kind and content."""
    texts: int
    """How many texts it has."""
    shown: str = field(compare=False)
    """The name under which it was uploaded."""
    path: str = field(compare=False)
    folder: str = field(compare=False)
    """The temporary folder of the upload, removed after the session."""


@dataclass(frozen=True)
class Texts:
    """What a run is calibrated on; None stands for it where no step asks, and for the texts that a demo brings."""

    file: TextFile | None
    """None where none was uploaded yet."""
    count: Any
    max_length: Any

    def read(self) -> bp.Calibration | None:
        """Read the file. Raises DataError where a number cannot be."""
        if self.file is None:
            return None
        return bp.Calibration(self.file.path, count=whole(self.count), max_length=whole(self.max_length))


def whole(number: Any) -> Any:
    """Return a number as an integer where it is one: fields send floats."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


@dataclass(frozen=True)
class Given:
    """The fields of the calibration texts."""

    file: TextFile | None = None
    way: str = "own"
    """`own` for the texts that the checkpoint brings, where it brings some, or `file`."""
    count: Any = 512
    max_length: Any = 128

    def are_own(self, source: Source) -> bool:
        """Return whether the texts are those that the checkpoint brings."""
        return self.way == "own" and source.is_embedded

    def all_of(self, source: Source) -> Texts | None:
        """Return what work on a checkpoint is calibrated on; None for the texts that it brings."""
        return None if self.are_own(source) else Texts(self.file, self.count, self.max_length)

    def chosen(self, source: Source, recipe: bp.Recipe) -> Texts | None:
        """Return what a run is calibrated on; None also where it reads no texts."""
        asked = any(reads_texts(step.method, step.reconstruct, step.fraction == 1) for step in recipe.steps)
        return self.all_of(source) if asked else None


@dataclass(frozen=True)
class RunKey:
    """Which run: equal keys are the same run. A recipe without steps stands for a checkpoint as it was opened."""

    source: Source
    recipe: bp.Recipe
    seed: int = 0
    texts: Texts | None = None
    """What it is calibrated on; None also for the texts that a demo brings."""

    @cached_property
    def yaml(self) -> str:
        """The recipe as the browser keeps it; written once, as every answer brings it."""
        return self.recipe.to_yaml()


@dataclass(frozen=True)
class Run:
    """One row of the table: a run of the visit, and what was found out about it."""

    number: int
    """Negative for a checkpoint as it was opened."""
    name: str
    """The name of its checkpoint."""
    key: RunKey
    cards: tuple[Any, ...] = ()
    """The cards that it was made by."""
    count: Any = None
    """What is masked, zero and alive in the whole model; None until its weights were read."""
    came_pruned: bool = False
    """Whether a checkpoint had masks, or zeros in place of weights, when it was opened."""
    masked: tuple[int, int] | None = None
    """How many of how many weights of the pruned tensors are masked."""
    macs: tuple[float, float] | None = None
    """The multiply-accumulates of its layers for a text, before and after."""
    planned: Any = None
    """What a plan said that its recipe gives; None for a run by other means."""
    quality: Any = None
    """The last measurement on many texts."""
    tried: Any = None
    """With what a measurement in the background failed, so that it is not tried again."""
    answers: Any = None
    """The last sentence of the visitor's own."""
    speed: Any = None
    exports: tuple[Any, ...] = ()
    """What was built of it, the last built at the end."""
    pushed: tuple[str, ...] = ()
    """The addresses of what was pushed to the Hub, the last at the end."""

    @property
    def is_dense(self) -> bool:
        """Return whether it is a checkpoint as it was opened."""
        return not self.key.recipe.steps


def is_pruned(report: bp.SparsityReport) -> bool:
    """Return whether a model has masks, or zeros in place of weights."""
    return bool(report.targets) or any(tensor.is_zeroed for tensor in report.tensors)
