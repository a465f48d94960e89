"""The code in README and tutorial: each cell prints the output on the page, and each command works."""

import re
import shlex
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

import bertprune as bp
from bertprune.checkpoint import source
from tools.documents import PAIRS, ROOT, cells, run, with_outputs

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def unchanged_state(temporary_methods: object) -> Iterator[None]:
    """Undo the methods that a page registers, and the seeds that it sets for plain torch."""
    import torch

    with torch.random.fork_rng(devices=[]):
        yield


@pytest.mark.usefixtures("unchanged_state")
@pytest.mark.filterwarnings(
    "ignore::bertprune.errors.NoEffectWarning"
)  # KoBERT's shape has random weights, but no bias
@pytest.mark.parametrize("name", PAIRS)
def test_every_cell_prints_what_the_page_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = cells((ROOT / name).read_text(encoding="utf-8"))
    assert page
    with ThreadPoolExecutor(1) as one:  # a process for the sweep would import torch once more
        monkeypatch.setattr(bp, "sweep", partial(bp.sweep, executor=one))
        printed_by = list(run(page, name, tmp_path))
    for cell, printed in zip(page, printed_by, strict=True):
        assert printed == cell.output, f"{name}, line {cell.line}: run `make docs` if the new output is right"


def test_both_languages_have_the_same_cells(subtests: pytest.Subtests) -> None:
    for english, korean in PAIRS.items():
        with subtests.test(english):
            one, other = (cells((ROOT / page).read_text(encoding="utf-8")) for page in (english, korean))
            assert [(cell.code, cell.output) for cell in one] == [(cell.code, cell.output) for cell in other]


def commands(name: str) -> list[str]:
    """Find the lines of a page's shell blocks that call bertprune."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("bertprune ")]


@pytest.fixture
def small_demos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the demos be narrow models with as many layers and heads, and with their tokenizers."""
    import torch
    import transformers

    for name in ("sentiment", "mlm"):
        folder = shutil.copytree(source.DEMO / name, tmp_path / "demos" / name)
        config = transformers.AutoConfig.from_pretrained(folder, hidden_size=32, intermediate_size=64)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            getattr(transformers, config.architectures[0])(config).save_pretrained(folder)
    monkeypatch.setattr(source, "DEMO", tmp_path / "demos")


@pytest.mark.usefixtures("small_demos")
@pytest.mark.parametrize("name", PAIRS)
def test_every_command_of_a_page_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bertprune.cli import main

    monkeypatch.chdir(tmp_path)
    listed = [line for line in commands(name) if not line.startswith("bertprune app")]
    assert listed
    for line in listed:
        monkeypatch.setattr("sys.argv", shlex.split(line, comments=True))
        try:
            code = main()
        except SystemExit as end:
            code = end.code
        assert code in (None, 0), line


SAMPLE = """# Title

```python
x = 2
print(x, "  ")
```

```text
old
```

words

```python
y = x + 1
```

```python
print(y)
```
"""


def test_cells_share_a_namespace_and_outputs_are_written_below_them(tmp_path: Path) -> None:
    outputs = list(run(cells(SAMPLE), "sample", tmp_path))
    assert outputs == ["2\n", "", "3\n"]
    page = with_outputs(SAMPLE, outputs)
    assert page == SAMPLE.replace("old", "2") + "\n```text\n3\n```\n"
    assert with_outputs(page, outputs) == page
    assert [cell.output for cell in cells(page)] == outputs


def test_an_error_names_the_line_of_the_page(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(run(cells(SAMPLE.replace("y = x + 1", "y = x / 0")), "sample", tmp_path))
    assert caught.traceback[-1].lineno + 1 == SAMPLE.splitlines().index("y = x + 1") + 1
