"""The errors and warnings that a user of bertprune can meet.

Every message is one line that names the input, what is wrong with it, and what would be right. It carries a code and
its values beside the English sentence, so that a program can tell errors apart and a page can show another language.
"""

from collections.abc import Iterable
from typing import Self


class Message:
    """A sentence, the code that it is known by, and the values that it holds, which may be messages themselves."""

    def __init__(self, sentence: str, /, *, code: str = "other", **values: object) -> None:
        """Keep an English sentence with places for the values, as `str.format` writes them."""
        self.sentence, self.code, self.values = sentence, code, values

    def __str__(self) -> str:
        """Write the sentence in English, its values filled in."""
        return self.sentence.format(**self.values) if self.values else self.sentence

    def __repr__(self) -> str:
        """Show the class and the sentence."""
        return f"{type(self).__name__}({str(self)!r})"


class Note(str):
    """A remark in a report: the English sentence as text, which has the code and the values of a message as well."""

    sentence: str
    code: str
    values: dict[str, object]

    def __new__(cls, sentence: str, /, *, code: str = "other", **values: object) -> Self:
        """Fill the values into a sentence with places for them, as `Message` does."""
        note = super().__new__(cls, Message(sentence, code=code, **values))
        note.sentence, note.code, note.values = sentence, code, values
        return note


class BertpruneError(Message, Exception):
    """Anything that is wrong with what the user gave; the message is meant to be read by that user.

    `code` names the kind of error for programs, `values` holds what the sentence was filled with.

    Example:
        >>> import bertprune as bp
        >>> try:
        ...     bp.prune("demo", bp.Step(method="l1_unstructurd", fraction=0.5))
        ... except bp.BertpruneError as error:
        ...     print(error.code, error.values["near"])
        method.misspelt l1_unstructured
    """

    def within(self, sentence: str, /, *, code: str, **values: object) -> Self:
        """Return an error of the same class that says where this one happened.

        Args:
            sentence: the English sentence, with places for the values as `str.format` writes them; `{error}` stands
                for this error.
            code: the new error's code.
            **values: the other values of the sentence.

        Returns:
            The new error; `values["error"]` is this one.

        Example:
            >>> import bertprune as bp
            >>> error = bp.BertpruneError("line {line} is empty", code="line.empty", line=3)
            >>> print(error.within("{file}: {error}", code="file", file="a.txt"))
            a.txt: line 3 is empty
        """
        return type(self)(sentence, code=code, error=self, **values)


class CheckpointError(BertpruneError):
    """A checkpoint cannot be found, read, trusted or built into a model."""


class TooLargeError(CheckpointError):
    """A checkpoint's weight files are larger than the caller accepts; nothing of them was downloaded.

    `values` holds the checkpoint's `name`, its `size` and the `most` that is accepted, both in bytes.
    """


class RecipeError(BertpruneError):
    """A recipe, step, method name or option is not what it should be."""


class SelectionError(RecipeError):
    """A selection matches nothing, or something that cannot be pruned."""


class ExportError(BertpruneError):
    """A run cannot be written, or did not come back from the disk as it was."""


class DataError(BertpruneError):
    """Evaluation data is missing, malformed, or does not fit the model."""


class BertpruneWarning(Message, UserWarning):
    """The parent of every warning that bertprune gives; it has a code and values as errors have."""


class NoEffectWarning(BertpruneWarning):
    """A step removed nothing."""


class MissingTensorsWarning(BertpruneWarning):
    """The checkpoint lacks tensors that its architecture expects; they were initialised from the seed."""


def shortened(text: str, most: int = 60) -> str:
    """Cut a text that somebody else wrote to what one line of a message can hold."""
    return text if len(text) <= most else text[: most - 1] + "…"


def some(names: Iterable[object], most: int = 8) -> str | Message:
    """List names in one line, for a message: the first ones, and how many more there are."""
    listed = [str(name) for name in names]
    first = ", ".join(listed[:most])
    if len(listed) <= most:
        return first
    return Message("{names} and {more} more", code="some", names=first, more=len(listed) - most)
