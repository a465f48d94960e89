"""What became of a step."""

from dataclasses import dataclass

from ..recipe import Step


@dataclass(frozen=True, slots=True)
class TensorOutcome:
    """What one step did to one tensor, in entries, and in slices where the method removes slices."""

    name: str
    size: int
    alive_before: int
    removed: int
    slices_before: int | None = None
    slices_removed: int | None = None


@dataclass(frozen=True)
class StepOutcome:
    """What one step did."""

    step: Step
    tensors: tuple[TensorOutcome, ...]

    @property
    def alive_before(self) -> int:
        """Count the entries that were alive in the step's tensors."""
        return sum(tensor.alive_before for tensor in self.tensors)

    @property
    def removed(self) -> int:
        """Count the entries that the step removed."""
        return sum(tensor.removed for tensor in self.tensors)
