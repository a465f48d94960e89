"""Run the Python cells of a Markdown page and write the output of each cell below it."""

import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CELL = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?", re.M | re.S)
PAIRS = {
    "README.md": "README.ko.md",
    "docs/tutorial.md": "docs/tutorial.ko.md",
    "docs/budget.md": "docs/budget.ko.md",
}


@dataclass(frozen=True)
class Cell:
    """A block of code, its output on the page, and the line where it begins."""

    code: str
    output: str
    line: int


def cells(text: str) -> list[Cell]:
    """Find the cells of a page."""
    return [
        Cell(found["code"], found["output"] or "", text.count("\n", 0, found.start("code")) + 1)
        for found in CELL.finditer(text)
    ]


def run(page: list[Cell], name: str, folder: Path) -> Iterator[str]:
    """Run the cells in order, in one namespace and in `folder`; yield the output of each."""
    names: dict[str, object] = {"__name__": "__main__"}
    for cell in page:
        source = compile("\n" * (cell.line - 1) + cell.code, name, "exec")
        printed = io.StringIO()
        with chdir(folder), redirect_stdout(printed):
            exec(source, names)
        yield re.sub(r"[ \t]+$", "", printed.getvalue(), flags=re.M)


def with_outputs(text: str, outputs: list[str]) -> str:
    """Write outputs below the cells, in place of the old ones."""
    remaining = iter(outputs)

    def written(found: re.Match[str]) -> str:
        output = next(remaining)
        return f"```python\n{found['code']}```\n" + (f"\n```text\n{output}```\n" if output else "")

    return CELL.sub(written, text)


def main() -> None:
    """Write the outputs into the pages of both languages, and their pictures to `docs/images`."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for english, korean in PAIRS.items():
        text = (ROOT / english).read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            outputs = list(run(cells(text), english, Path(folder)))
            for picture in Path(folder).glob("*.png"):
                shutil.copy(picture, ROOT / "docs" / "images")
        for page in (ROOT / english, ROOT / korean):
            page.write_text(with_outputs(page.read_text(encoding="utf-8"), outputs), encoding="utf-8")
            print(f"{page.name}: {len(outputs)} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
