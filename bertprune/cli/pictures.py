"""Figures that a command writes to a file, in the format that the file's name asks for."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from ..errors import ExportError
from ..files import check_place, check_regular, reason_of
from .options import path_option

FORMATS = (".pdf", ".png", ".svg")
_WHAT = "Draw it: .png, .svg or .pdf by the name."

Picture = Annotated[Path | None, path_option("--figure", "FILE", _WHAT)]


def check_picture(path: Path | None) -> None:
    """Refuse names of other formats, and no place to write, before the long work. Raises ExportError."""
    check_place(path, ExportError)
    if path is not None and path.suffix.lower() not in FORMATS:
        raise ExportError(
            "--figure {file}: expected a name that ends in {known}",
            code="cli.figure_suffix", file=path.name, known=", ".join(FORMATS),
        )  # fmt: skip


def write_file(path: Path | None, write: Callable[[Path], Any]) -> None:
    """Write a result to a file that the caller named. Raises ExportError."""
    if path is None:
        return
    check_regular(path, ExportError)
    try:
        write(path)
    except OSError as error:
        raise ExportError(
            "{file}: cannot be written ({reason})", code="cli.not_written", file=str(path), reason=reason_of(error)
        ) from None


def write_picture(figure: Callable[[], Any], path: Path | None) -> None:
    """Draw a figure, where a file was named, and write it there. Raises ExportError."""
    write_file(path, lambda file: figure().savefig(file, dpi=150))
