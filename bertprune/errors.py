"""The errors and warnings that a user of bertprune can meet.

Every message is one line that names the input, what is wrong with it, and what would be right.
"""


class BertpruneError(Exception):
    """Anything that is wrong with what the user gave; the message is meant to be read by that user."""


class CheckpointError(BertpruneError):
    """A checkpoint cannot be found, read, trusted or built into a model."""


class TooLargeError(CheckpointError):
    """A checkpoint's weight files are larger than the caller takes; nothing of them was fetched."""

    def __init__(self, name: str, size: int, most: int) -> None:
        """Say whose files, how many bytes they have, and how many would be taken."""
        super().__init__(f"{name} holds {size:,} bytes of weights; at most {most:,} are taken")
        self.name, self.size, self.most = name, size, most


class RecipeError(BertpruneError):
    """A recipe, step, method name or option is not what it should be."""


class SelectionError(RecipeError):
    """A selection matches nothing, or something that cannot be pruned."""


class ExportError(BertpruneError):
    """A run cannot be written, or did not come back from the disk as it was."""


class DataError(BertpruneError):
    """Evaluation data is missing, malformed, or does not fit the model."""


class BertpruneWarning(UserWarning):
    """The parent of every warning that bertprune gives."""


class NoEffectWarning(BertpruneWarning):
    """A step removed nothing."""


class MissingTensorsWarning(BertpruneWarning):
    """The checkpoint lacks tensors that its architecture expects; they were initialised from the seed."""


def shortened(text: str, most: int = 60) -> str:
    """Cut a text that somebody else wrote to what one line of a message can hold."""
    return text if len(text) <= most else text[: most - 1] + "…"
