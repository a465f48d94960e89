"""Whatever is wrong with the input: exit code 2, one line on stderr, nothing on stdout, nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TINY = "prune tiny-0 --out out"
KEYS = f"{TINY} --include *key"
L1 = "--method l1_unstructured"
AMOUNT = "the step's amount: give either --fraction (0 < f <= 1) or --count (1 or more), and not both"

LINES = {
    # the line itself
    "prun tiny-0": "no such command 'prun' … 'prune'? … (see bertprune --help)",
    "prune": "missing argument 'SOURCE' (see bertprune prune --help)",
    "tree tiny-0 --dept 2": "no such option: --dept … --depth … (see bertprune tree --help)",
    "tree tiny-0 a b": "got unexpected extra argument … (b) (see bertprune tree --help)",
    f"{KEYS} {L1} --fraction": "option '--fraction' requires an argument",
    "app --port 0": "invalid value for '--port': ",
    # the source
    "tree ./nowhere": "'nowhere' does not exist; ",
    "tree tiny-0 --revision main": "revision … main … tiny-0",
    "tree tiny-0 encoder.layer.0.attention.sef": "encoder.layer.0.attention.sef … encoder.layer.0.attention.self",
    # the recipe
    TINY: "no recipe: give --recipe FILE, or one step with --method and --fraction or --count",
    f"{TINY} --recipe no.yaml": "no.yaml … No such file or directory",
    f"{TINY} --recipe odd.yaml": "odd.yaml: recipe: step 1, amount: ",
    f"{TINY} --recipe empty.yaml": "empty.yaml: no steps, so nothing would be pruned",
    "try tiny-0 good --recipe empty.yaml": "empty.yaml: no steps",
    f"{TINY} --recipe odd.yaml --count 2": "--recipe and --count: give a file or the flags of one step, not both",
    f"{KEYS} --fraction 0.1": "--fraction: a step needs --method NAME; `bertprune methods` lists them",
    f"{KEYS} {L1}": AMOUNT,
    f"{KEYS} {L1} --fraction 0.1 --count 2": AMOUNT,
    f"{KEYS} {L1} --fraction nan": "fraction … nan",
    f"{KEYS} {L1} --count 1 --scope all": "scope … 'all'",
    f"{KEYS} --method l1 --fraction 0.1": "unknown method 'l1'; ",
    f"{KEYS} {L1} --count 2000": "2,000 … 1,024",
    f"{KEYS} --method ln_structured --count 1 --option n=two": "ln_structured: option n",
    f"{TINY} {L1} --count 1 --role attention.q": "roles … 'attention.q'",
    # the target
    f"{KEYS} {L1} --count 1 --out=~nobody-of-that-name/out": "~nobody-of-that-name/out: no such user",
    f"prune tiny-0 {L1} --count 1": "no output folder: give --out DIR (or --as-python for a script only)",
    f"prune tiny-0 --out taken {L1} --count 1": "taken: already exists; ",
    f"prune tiny-0 --out tiny-0 --overwrite {L1} --count 1": "tiny-0: contains the source checkpoint, ",
    f"{KEYS} {L1} --count 1 --form dense": "form 'dense' is unknown; choose one of baked, masked",
    f"{KEYS} {L1} --count 1 --seed -1": "a seed is an integer from 0 to 2^63 - 1, not -1",
    # the others
    "export tiny-0 out": "tiny-0 has no masks to export in another form; prune it first",
    "report tiny-0 --by colour": "--by 'colour': not a way to group; choose tensor, layer, role, module, type",
    "report tiny-0 --against demo": "compare checkpoints of the same architecture",
    "methods --methods odd.py": "odd.py: ZeroDivisionError: division by zero",
    "evaluate tiny-0": "missing option '--data' (see bertprune evaluate --help)",
    "evaluate tiny-0 --data no.csv": "no.csv: no such file",
}


@pytest.fixture
def messy(here: Path) -> Path:
    (here / "odd.yaml").write_text("steps:\n- method: l1_unstructured\n  count: 1\n  amount: 3\n")
    (here / "empty.yaml").write_text("steps: []\n")
    (here / "odd.py").write_text("1 / 0\n")
    (here / "taken").mkdir()
    (here / "taken" / "mine.txt").write_text("mine")
    return here


def test_wrong_input_is_one_clear_line(messy: Path, cli: Callable[..., Any], subtests: pytest.Subtests) -> None:
    for line in LINES:
        with subtests.test(line):
            before = sorted(messy.rglob("*"))
            result = cli(line)
            assert (result.code, result.out) == (2, "")
            assert result.err.startswith("error: ") and result.err.count("\n") == 1
            assert all(words in result.err for words in LINES[line].split(" … "))
            assert str(messy) not in result.err
            assert sorted(messy.rglob("*")) == before
