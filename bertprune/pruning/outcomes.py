"""What the steps of a recipe did."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import NoEffectWarning, Note
from ..model.cuts import Cut
from ..model.hooks import Maker
from ..scores import Method
from ..step import Step, step_in_words


@dataclass(frozen=True, slots=True)
class TensorOutcome:
    """What one step did to one tensor, in entries, and in slices where the method removes slices."""

    name: str
    size: int
    alive_before: int
    removed: int
    slices_before: int | None = None
    slices_removed: int | None = None


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """Whether what stayed in a layer was adjusted, and how far the model's answers to texts held back then drift."""

    layer: int | None
    """The encoder's layer; None for what is outside the layers."""
    kept: bool
    """Whether the adjusted values are those of the run: where the drift is lower with them."""
    drift_without: float
    """The drift with the masks alone."""
    drift_with: float
    """The drift with the adjusted values."""


@dataclass(frozen=True, slots=True)
class TokensOutcome:
    """What one step did to the vocabulary, and to how the texts given as calibration are read."""

    removed: int
    """How many tokens went."""
    before: int
    """How many there were."""
    used: int
    """How many of those that went occur in the texts."""
    changed: int
    """How many texts are read otherwise now."""
    texts: int
    """How many texts there are."""


@dataclass(frozen=True)
class StepOutcome:
    """What one step did."""

    step: Step
    tensors: tuple[TensorOutcome, ...]
    method: Method
    """The method as it was when the step ran: another one may be registered under its name since."""
    reconstructions: tuple[Reconstruction, ...] = ()
    """By layer, where the step reconstructs."""
    cut: Cut = Cut()
    """What the step took out of the model: layers by the numbers that they have in the checkpoint, tokens."""
    tokens: TokensOutcome | None = None
    """What it did to the vocabulary, where it removes tokens."""

    @property
    def alive_before(self) -> int:
        """Count the entries that were alive in the step's tensors."""
        return sum(tensor.alive_before for tensor in self.tensors)

    @property
    def removed(self) -> int:
        """Count the entries that the step removed."""
        return sum(tensor.removed for tensor in self.tensors)


def hook_makers(outcomes: Iterable[StepOutcome]) -> dict[str, Maker | None]:
    """Return what made the hooks of the steps, by method: those of then, whatever has been registered since."""
    return {outcome.step.method: outcome.method.hook_maker for outcome in outcomes}


def no_effect(outcome: StepOutcome) -> NoEffectWarning:
    """Return the warning for a step that changes no output: it removes nothing, or only what is zero already."""
    if outcome.removed == 0:
        return NoEffectWarning("{step} pruned nothing", code="prune.no_effect", step=step_in_words(outcome.step))
    return NoEffectWarning(
        "{step} pruned only values that are zero already", code="prune.only_zeros", step=step_in_words(outcome.step)
    )


def removal_notes(outcomes: Iterable[StepOutcome]) -> Iterator[Note]:
    """Say which layers, and how many tokens, were removed."""
    for outcome in outcomes:
        if layers := outcome.cut.layers:
            yield Note(
                "removed {count} of the encoder's layers: {layers} ({removed:,} parameters)",
                code="prune.layers_removed", count=len(layers), layers=", ".join(map(str, layers)),
                removed=outcome.removed,
            )  # fmt: skip
        if (lost := outcome.tokens) is not None and lost.removed:
            yield Note(
                "removed {count:,} of {before:,} tokens ({removed:,} parameters); {changed:,} of {texts:,} texts, which"
                " use {used:,} of them, are read otherwise now",
                code="prune.tokens_removed", count=lost.removed, before=lost.before, removed=outcome.removed,
                changed=lost.changed, texts=lost.texts, used=lost.used,
            )  # fmt: skip


def reconstruction_notes(outcomes: Iterable[StepOutcome]) -> Iterator[Note]:
    """Say in how many of the layers that were reconstructed every step is kept so."""
    every = [one for outcome in outcomes for one in outcome.reconstructions]
    refused = [one.layer for one in every if not one.kept]
    number = len({one.layer for one in every})
    if not refused:
        if every:
            yield Note(
                "reconstruction lowers the drift on the texts held back in all {all:,} layers, and is kept there",
                code="calibration.all_kept", all=number,
            )  # fmt: skip
        return
    layers = dict.fromkeys(sorted(refused, key=lambda layer: (layer is None, layer or 0)))
    yield Note(
        "reconstruction is kept throughout in {kept:,} of {all:,} layers; in the others ({layers}) it does not lower"
        " the drift on the texts held back",
        code="calibration.some_kept", kept=number - len(layers), all=number,
        layers=", ".join("head" if layer is None else str(layer) for layer in layers),
    )  # fmt: skip
