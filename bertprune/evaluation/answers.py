"""What models say of one text, as data and as plain text."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..text import aligned


@dataclass(frozen=True)
class Guess:
    """A class, or a word for a blank, and how probable the model finds it."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answers:
    """What both models answer to one question.

    Classes stand in one order for both sides, the likelier before the further up; the candidates for a blank are each
    model's own best ones.
    """

    before: tuple[Guess, ...] | None
    after: tuple[Guess, ...]


@dataclass(frozen=True)
class Figure:
    """A number that a model gives to the text; `before` is None without a baseline, and for `embedding_cosine`."""

    name: str
    """score (one output), similarity (cosine of the two texts), embedding_cosine (before against after)."""
    before: float | None
    after: float


@dataclass(frozen=True)
class TextReport:
    """What `try_text` found."""

    task: Literal["classification", "regression", "language", "embedding"]
    before_name: str | None
    after_name: str
    text: str
    text_pair: str | None
    answers: tuple[Answers, ...]
    """One for a classifier, one for each blank in the order of the text, none where the model gives only numbers."""
    figures: tuple[Figure, ...]
    tokens: int
    """Tokens that were read, special ones included."""
    max_length: int
    """Tokens after which texts are cut."""
    cut: bool
    """Whether the text was longer than that."""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        return asdict(self)

    def to_text(self) -> str:
        """Write the answers of both models side by side."""
        lines = [f"{self.before_name} -> {self.after_name}" if self.before_name else self.after_name]
        lines += [f"note: the text was cut to {self.max_length:,} tokens"] if self.cut else []
        for number, answers in enumerate(self.answers, 1):
            blank = f"blank {number}" if self.task == "language" else "class"
            lines += ["", aligned([(blank, *_sides(self.before_name)), *_rows(answers, self.task == "language")])]
        if self.figures:
            rows = [(one.name.replace("_", " "), *_numbers(one, self.before_name)) for one in self.figures]
            lines += ["", aligned([("", *_sides(self.before_name)), *rows])]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()


def _sides(before: str | None) -> tuple[str, ...]:
    return ("before", "after") if before else ("after",)


def _rows(answers: Answers, ranked: bool) -> list[tuple[str, ...]]:
    sides = [side for side in (answers.before, answers.after) if side is not None]
    rows = []
    for rank, guesses in enumerate(zip(*sides, strict=True), 1):
        if ranked:
            rows.append((str(rank), *(f"{one.name} {one.probability:.4f}" for one in guesses)))
        else:
            rows.append((guesses[0].name, *(f"{one.probability:.4f}" for one in guesses)))
    return rows


def _numbers(figure: Figure, before: str | None) -> tuple[str, ...]:
    first = "" if figure.before is None else f"{figure.before:.4f}"
    return (first, f"{figure.after:.4f}") if before else (f"{figure.after:.4f}",)
