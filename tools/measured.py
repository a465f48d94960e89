"""Copy the tables that the benchmarks wrote into the pages, between `<!-- measured: NAME -->` and `<!-- end -->`."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "README.ko.md", "benchmarks/README.md")
_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.S)


def with_measured(page: str) -> str:
    """Replace each block by the text of `benchmarks/NAME.md`."""

    def block(found: re.Match[str]) -> str:
        measured = (ROOT / "benchmarks" / f"{found[2]}.md").read_text(encoding="utf-8").strip()
        return f"{found[1]}{measured}\n{found[3]}"

    return _BLOCK.sub(block, page)


if __name__ == "__main__":
    for name in PAGES:
        path = ROOT / name
        path.write_text(with_measured(path.read_text(encoding="utf-8")), encoding="utf-8")
