"""The errors and warnings that users meet.

Every message is one line that names the input, what is wrong with it, and what would be right. It has a code and
values as well as an English sentence, so that a program can tell errors apart and a page can show another language.

The code names the mistake, wherever it is found: a misspelt method has the same code in a step, in the second step of
five, in a recipe's file and in a preview. The places in front of the sentence say where it was found.
"""

import copy
from collections.abc import Iterable
from typing import Any, Self


class Message:
    """A template, its code and its values, which may be messages themselves."""

    def __init__(self, sentence: str, /, *, code: str = "other", **values: object) -> None:
        """Keep an English sentence with placeholders for the values, as in `str.format`."""
        self.sentence, self.code, self.values = sentence, code, values

    def __str__(self) -> str:
        """Return the English sentence with its values."""
        return self.sentence.format(**self.values) if self.values else self.sentence

    def __repr__(self) -> str:
        """Show the class and the sentence."""
        return f"{type(self).__name__}({str(self)!r})"


class Note(str):
    """A message that is a str as well: a remark in a report, or a name that can be translated."""

    sentence: str
    code: str
    values: dict[str, object]

    def __new__(cls, sentence: str, /, *, code: str = "other", **values: object) -> Self:
        """Fill the values into the placeholders of a sentence, as `Message` does."""
        note = super().__new__(cls, Message(sentence, code=code, **values))
        note.sentence, note.code, note.values = sentence, code, values
        return note


class _Raised(Message, Exception):
    """A message that can be raised or warned of: `args` holds the English sentence with its values."""

    def __init__(self, sentence: str, /, *, code: str = "other", **values: object) -> None:
        """Keep the message, and its text as the only argument."""
        super().__init__(sentence, code=code, **values)
        self.args = (str(self),)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let pickle rebuild the message from its attributes, without a call of `__init__`."""
        return type(self).__new__, (type(self), *self.args), vars(self)


class BertpruneError(_Raised):
    """An input that is wrong; the message is for the user who gave it.

    `code` names the kind of mistake for programs, the same wherever it is found; `values` holds the values in the
    sentence, and those of the places in front of it, such as the `step` of a recipe or its `file`.

    Example:
        >>> import bertprune as bp
        >>> steps = [bp.Step(method=name, fraction=0.5) for name in ("l1_unstructured", "l1_unstructurd")]
        >>> try:
        ...     bp.prune("demo", steps)
        ... except bp.BertpruneError as error:
        ...     print(error.code, error.values["near"], error.values["step"])
        method.misspelt l1_unstructured 2
    """

    places: tuple[Message, ...] = ()
    """Where the error happened, the outermost place first."""

    def __str__(self) -> str:
        """Return the places and the English sentence."""
        return ": ".join([*map(str, self.places), super().__str__()])

    def within(self, place: str, /, *, code: str, **values: object) -> Self:
        """Return the same error with a place in front of it, such as the file in which it happened.

        Args:
            place: A string, the place in English, with placeholders as in `str.format`.
            code: A string, the code of the place, by which a page finds it in another language.
            **values: The values of the place.

        Returns:
            The new error; its code is that of this one, and its values are those of both.

        Example:
            >>> import bertprune as bp
            >>> error = bp.BertpruneError("line {line} is empty", code="line.empty", line=3)
            >>> placed = error.within("{file}", code="place.file", file="a.txt")
            >>> print(placed, placed.code)
            a.txt: line 3 is empty line.empty
        """
        placed = copy.copy(self)
        placed.places = (Message(place, code=code, **values), *self.places)
        placed.values = {**values, **self.values}
        placed.args = (str(placed),)
        return placed


class CheckpointError(BertpruneError):
    """A checkpoint cannot be found, read, trusted or built into a model."""


class TooLargeError(CheckpointError):
    """A checkpoint's weight files are larger than the caller accepts; none was downloaded.

    `values` holds the checkpoint's `name`, its `size` and the `most` that is accepted, both in bytes.
    """


class RecipeError(BertpruneError):
    """A recipe, step, method name or option is wrong."""


class SelectionError(RecipeError):
    """A selection matches nothing, or something that cannot be pruned."""


class ExportError(BertpruneError):
    """A run cannot be written, or what was read back from the disk differs from it."""


class DataError(BertpruneError):
    """Evaluation data is missing, malformed, or does not fit the model."""


class BertpruneWarning(_Raised, UserWarning):
    """The parent of every warning of bertprune; it has a code and values as errors have."""


class NoEffectWarning(BertpruneWarning):
    """A step pruned nothing, or only values that are zero already."""


class MissingTensorsWarning(BertpruneWarning):
    """The checkpoint lacks tensors that its architecture expects; they were initialised from the seed."""


class OtherTextsWarning(BertpruneWarning):
    """A recipe is run on other calibration texts than those that it was made on."""


class ForeignTextsWarning(BertpruneWarning):
    """A tokenizer reads texts as unknown tokens and single letters: they are hardly in the model's language."""


class UntiedWarning(BertpruneWarning):
    """A tied tensor became two, because its owners have different masks."""


def shortened(text: str, most: int = 60) -> str:
    """Shorten outside text for one line of a message."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shown(thing: object, most: int = 60) -> str:
    """Write any value as Python does, in one short line."""
    return shortened(" ".join(repr(thing).split()), most)


def kind_of(thing: object) -> str:
    """Name the type of a thing that is not what was expected; a class itself is named as one."""
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__


def first_names(names: Iterable[object], most: int = 8) -> str | Message:
    """List the first names in one line of a message, and how many more there are."""
    listed = [str(name) for name in names]
    first = ", ".join(listed[:most])
    if not listed:
        return Message("none", code="no_names")
    if len(listed) <= most:
        return first
    return Message("{names} and {more} more", code="first_names", names=first, more=len(listed) - most)
