"""Write `space.yaml` into the front matter of README.md, where a Space looks for its configuration."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = "---\n"


def configuration() -> str:
    """Read `space.yaml` without its comments."""
    lines = (ROOT / "space.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))


def with_front_matter(readme: str, settings: str) -> str:
    """Put `settings` in front of the text, in the place of any that are there."""
    body = readme.split(FENCE, 2)[2] if readme.startswith(FENCE) else f"\n{readme}"
    return f"{FENCE}{settings}{FENCE}{body}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_front_matter(path.read_text(encoding="utf-8"), configuration()), encoding="utf-8")
