"""The project around the code: declared dependencies, the Space's configuration, and the pages agree with the code."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

import bertprune
from app.settings import Settings
from tools.front_matter import FENCE, configuration, with_front_matter
from tools.measured import PAGES as MEASURED
from tools.measured import with_measured
from tools.space import build

ROOT = Path(__file__).parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
SPACE: dict[str, Any] = yaml.safe_load((ROOT / "space.yaml").read_text(encoding="utf-8"))
IMPORTED_AS = {
    "huggingface-hub": "huggingface_hub",
    "onnx-ir": "onnx_ir",
    "pylopdf-fonts-ko": "pylopdf_fonts_ko",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
}
PAIRS = [
    ("README.md", "README.ko.md"),
    ("docs/tutorial.md", "docs/tutorial.ko.md"),
    ("docs/budget.md", "docs/budget.ko.md"),
]
PAGES = [
    "README.md",
    "README.ko.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/tutorial.md",
    "docs/tutorial.ko.md",
    "docs/budget.md",
    "docs/budget.ko.md",
    "benchmarks/README.md",
]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(lines: list[str]) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    return {requirement.name: requirement for requirement in parsed}


DECLARED = requirements(PROJECT["dependencies"])
FOR_ONNX = requirements(PROJECT["optional-dependencies"]["onnx"])
FOR_CLUSTERS = requirements(PROJECT["optional-dependencies"]["cluster"])
FOR_THE_APP = requirements(PROJECT["optional-dependencies"]["app"]) | FOR_ONNX
assert FOR_THE_APP.pop("bertprune").extras == {"onnx"}
LISTED = requirements(read("requirements.txt").splitlines())


def test_requirements_repeat_the_project_with_torch_pinned() -> None:
    assert LISTED.keys() == {**DECLARED, **FOR_THE_APP}.keys()
    for name, requirement in {**DECLARED, **FOR_THE_APP}.items():
        if name != "torch":
            assert LISTED[name].specifier == requirement.specifier, name
    pinned = next(iter(LISTED["torch"].specifier))
    assert pinned.operator == "=="
    assert pinned.version in DECLARED["torch"].specifier


def test_the_space_runs_what_is_required() -> None:
    assert SPACE["sdk"] == "gradio"
    assert SPACE["sdk_version"] in FOR_THE_APP["gradio"].specifier
    assert SPACE["python_version"] in PROJECT["requires-python"]


def imports(folder: str) -> Iterator[str]:
    """Yield the top-level name of everything that the modules of a folder import."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield node.module.partition(".")[0]


def test_every_import_is_declared(subtests: pytest.Subtests) -> None:
    for folder, allowed in [
        ("bertprune", {**DECLARED, **FOR_ONNX, **FOR_CLUSTERS}),
        ("app", {**DECLARED, **FOR_THE_APP}),
    ]:
        with subtests.test(folder):
            ours = {"bertprune", "app"} if folder == "app" else {"bertprune"}
            known = {IMPORTED_AS.get(name, name) for name in allowed} | ours | sys.stdlib_module_names
            assert set(imports(folder)) <= known


def test_every_declared_dependency_is_used() -> None:
    used = {*imports("bertprune"), *imports("app"), "onnx", "onnxscript"}  # what torch exports with
    assert {name for name in LISTED if IMPORTED_AS.get(name, name) not in used} == set()


def test_the_version_is_the_same_everywhere() -> None:
    assert "version" in PROJECT["dynamic"]
    assert f'__version__ = "{bertprune.__version__}"' in read(PYPROJECT["tool"]["hatch"]["version"]["path"])
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.M)[1] == bertprune.__version__  # type: ignore[index]


def test_the_front_matter_is_the_spaces_configuration() -> None:
    readme = read("README.md")
    assert readme == with_front_matter(readme, configuration()), "run `make readme`"
    assert yaml.safe_load(readme.split(FENCE)[1]) == {key: value for key, value in SPACE.items() if key != "limits"}


def test_the_hosted_page_has_the_limits_of_the_configuration() -> None:
    used = Settings.from_environment({"SPACE_ID": "org/page"}).model_dump()
    written = Settings(**SPACE["limits"]).model_dump(include=SPACE["limits"])
    assert {name: used[name] for name in written} == written
    assert set(written) == set(used) - {"hosted", "home"}, "every limit is in space.yaml"


def test_front_matter_is_replaced() -> None:
    old = with_front_matter("# Title\n\ntext\n---\nmore\n", "title: old\n")
    assert with_front_matter(old, "title: new\n") == old.replace("old", "new")


def test_the_hub_accepts_the_configuration() -> None:
    assert len(SPACE["short_description"]) <= 60
    assert SPACE["colorFrom"] in COLOURS
    assert SPACE["colorTo"] in COLOURS
    assert isinstance(SPACE["python_version"], str) and isinstance(SPACE["sdk_version"], str)
    assert (ROOT / SPACE["app_file"]).is_file()
    assert SPACE["license"].lower() == PROJECT["license"].lower()


COLOURS = ["red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"]


def test_nothing_needs_large_file_storage() -> None:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if (ROOT / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > 10_000_000} == {}


def test_the_space_holds_what_its_page_and_its_readme_need(tmp_path: Path) -> None:
    space = build(tmp_path / "space")
    assert (space / SPACE["app_file"]).is_file()
    assert not [path for path in space.rglob("*") if path.name.startswith(".") or path.name == "__pycache__"]
    for page in ("README.md", "README.ko.md", "CONTRIBUTING.md"):
        assert [link for link in links(page) if not (space / link).exists()] == []


def test_a_file_too_large_for_the_hub_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.space.LARGEST", 1_000_000)
    with pytest.raises(SystemExit, match=r"large-file storage for .*model\.safetensors"):
        build(tmp_path / "space")


def test_files_stay_short() -> None:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}
    assert all(any(name.startswith(f"{folder}/") for name in lengths) for folder in CODE)
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}


CODE = ("bertprune", "app", "benchmarks", "demo_training", "tools")


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))


def test_every_make_command_in_a_page_exists(subtests: pytest.Subtests) -> None:
    for page in PAGES:
        with subtests.test(page):
            assert set(re.findall(r"(?:^|`)make ([a-z]+)", read(page), re.M)) <= targets()


def links(page: str) -> list[str]:
    """List the files that a page links to."""
    return re.findall(r"\]\((?!https?://|#)([^)#\s]+)", read(page))


def test_every_linked_file_exists(subtests: pytest.Subtests) -> None:
    for page in PAGES:
        with subtests.test(page):
            assert [link for link in links(page) if not ((ROOT / page).parent / link).exists()] == []


def test_contributing_names_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "bertprune").glob("*/__init__.py")}
    files = {path.name for path in (ROOT / "bertprune").glob("[!_]*.py")}
    layout = read("CONTRIBUTING.md").partition("## Layout")[2]
    assert [name for name in (*(f"{room}/" for room in rooms), *files) if f"`{name}`" not in layout] == []
    assert rooms > {"pruning", "scores"}


def outline(page: str) -> list[str]:
    """Reduce a page to what a translation must keep: levels of headings, code, pictures, rows of tables."""
    text = re.sub(r"\A---\n.*?\n---\n", "", read(page), flags=re.S)
    kept = re.findall(r"```\w*\n.*?```|^#+(?= )|^\||^!\[.*?\]\(.*?\)", text, re.M | re.S)
    return [re.sub(r"^!\[.*?\]|  # .*$", "", part, flags=re.M) for part in kept]


def test_the_korean_page_has_the_same_outline(subtests: pytest.Subtests) -> None:
    for english, korean in PAIRS:
        with subtests.test(korean):
            assert outline(korean) == outline(english)


def test_the_korean_page_is_korean(subtests: pytest.Subtests) -> None:
    for korean in [korean for _, korean in PAIRS]:
        with subtests.test(korean):
            prose = re.sub(r"<!-- measured.*?<!-- end -->|```.*?```|`[^`]*`|\(.*?\)", "", read(korean), flags=re.S)
            assert len(re.findall("[가-힣]", prose)) > 2 * len(re.findall("[a-z]", prose))


def test_the_licence_is_whole() -> None:
    text = read("LICENSE")
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text


def test_pages_show_what_was_measured(subtests: pytest.Subtests) -> None:
    for page in MEASURED:
        with subtests.test(page):
            assert read(page).count("<!-- measured: ") == (1 if page == "benchmarks/README.md" else 9)
            assert with_measured(read(page)) == read(page)
