"""Copy `space.yaml` into the front matter of README.md, where a Space reads its configuration."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = "---\n"


def configuration() -> str:
    """Read `space.yaml` without its comments and without the limits, which only the page uses."""
    text = (ROOT / "space.yaml").read_text(encoding="utf-8")
    return re.sub(r"^#.*\n|^limits:\n(?: .*\n)*", "", text, flags=re.M)


def with_front_matter(readme: str, settings: str) -> str:
    """Put `settings` in front of the text, in place of the old ones."""
    body = readme.split(FENCE, 2)[2] if readme.startswith(FENCE) else f"\n{readme}"
    return f"{FENCE}{settings}{FENCE}{body}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_front_matter(path.read_text(encoding="utf-8"), configuration()), encoding="utf-8")
