"""What is known of a checkpoint before any weight is read."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorFact:
    """Describe one stored tensor: its name in the file, its shape, and its torch dtype ("float16")."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """The number of values."""
        total = 1
        for length in self.shape:
            total *= length
        return total


@dataclass(frozen=True)
class Facts:
    """Describe a checkpoint: sizes count values and bytes as they are stored, tied tensors once."""

    architecture: str
    """The transformers class that is built, "BertForMaskedLM"."""
    model_type: str
    """The family as transformers names it, "bert"."""
    parameters: int
    """Values in the model's parameters, tied ones counted once."""
    dtype: str
    """The dtype that holds most values."""
    bytes: int
    """The size of the weight files, in bytes; 0 where nothing is stored."""
    tensors: tuple[TensorFact, ...]
    """Every stored tensor, in the order of the files."""
    files: tuple[str, ...]
    """The names of the weight files."""
    notes: tuple[str, ...] = field(default=())
    """Plain sentences for the user, such as what was assumed."""


def main_dtype(tensors: tuple[TensorFact, ...]) -> str:
    """Return the dtype that holds most values; "float32" where there are none."""
    values: dict[str, int] = {}
    for fact in tensors:
        values[fact.dtype] = values.get(fact.dtype, 0) + fact.size
    return max(values, key=lambda dtype: values[dtype]) if values else "float32"
