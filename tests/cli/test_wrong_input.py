"""Whatever is wrong with the input: exit code 2, one line on stderr, nothing on stdout, nothing written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KNOWN = "known: l1_unstructured, ln_structured, random_structured, random_unstructured"
ROLES = (
    "'embeddings.word', 'embeddings.position', 'embeddings.token_type', 'attention.query', 'attention.key', "
    "'attention.value', 'attention.output', 'ffn.intermediate', 'ffn.output', 'pooler' or 'head'"
)
AMOUNT = "the step's amount: give either --fraction (0 < f <= 1) or --count (1 or more), and not both"
TINY = "prune tiny-0 --out out"
KEYS = f"{TINY} --include *key"
L1 = "--method l1_unstructured"

LN = "--method ln_structured --count 1"
RANDOM = "--method random_unstructured --count 1"

LINES = {
    # the line itself
    "prun tiny-0": "no such command 'prun' … 'prune'? … (see bertprune --help)",
    "prune": "missing argument 'SOURCE' (see bertprune prune --help)",
    "tree tiny-0 --dept 2": "no such option: --dept … --depth … (see bertprune tree --help)",
    "tree tiny-0 a b": "got unexpected extra argument … (b) (see bertprune tree --help)",
    f"{KEYS} {L1} --fraction": "option '--fraction' requires an argument",
    # the source
    f"prune nowhere/at/all --out out {L1} --count 1": "'all' does not exist here; ",
    "tree ./nowhere": "'nowhere' does not exist here; ",
    "tree tiny-0 --revision main": "a revision ('main') is for ids of the Hub; 'tiny-0' is none",
    "tree tiny-0 encoder.layer.0.attention.sef": "no module is named 'encoder.layer.0.attention.sef'; the nearest are ",
    "inspect tiny-0 encoder.layer.7": "no module is named 'encoder.layer.7'; the nearest are ",
    # the recipe
    TINY: "no recipe: give --recipe FILE, or one step by --method with --fraction or --count",
    f"{TINY} --recipe no.yaml": "no.yaml: cannot be read (No such file or directory)",
    f"{TINY} --recipe odd.yaml": "odd.yaml: recipe: steps.0.amount: Extra inputs are not permitted (got 3)",
    f"{TINY} --recipe odd.json": "odd.json: the recipe is not valid JSON: ",
    f"{TINY} --recipe odd.yaml --count 2": "--recipe and --count: give a file or the flags of one step, not both",
    # the step
    f"{KEYS} --method l1 --fraction 0.1": f"unknown method 'l1'; {KNOWN}",
    f"{KEYS} --method l1_unstructred --count 1": "did you mean l1_unstructured? " + KNOWN,
    f"{KEYS} --fraction 0.1": "--fraction: a step needs --method NAME; `bertprune methods` lists them",
    f"{KEYS} {L1}": AMOUNT,
    f"{KEYS} {L1} --fraction 0.1 --count 2": AMOUNT,
    f"{KEYS} {L1} --fraction 2": "step: fraction: Input should be less than or equal to 1 (got 2.0)",
    f"{KEYS} {L1} --fraction nan": "step: fraction: ",
    f"{KEYS} {L1} --fraction half": "--fraction 'half': not a number; give the share that goes (0 < f <= 1)",
    f"{KEYS} {L1} --count 0": "step: count: Input should be greater than or equal to 1 (got 0)",
    f"{KEYS} {L1} --count 1.0": "--count '1.0': not a whole number; give how many go (1 or more)",
    f"{KEYS} {L1} --count 2000": "l1_unstructured: 2,000 were to go, but only 1,024 ",
    f"{KEYS} {L1} --count 1 --scope all": "step: scope: Input should be 'local' or 'global' (got 'all')",
    f"{KEYS} {RANDOM} --scope global": "random_unstructured works in scope local, not global",
    f"{KEYS} {L1} --count 1 --option n=2": "l1_unstructured: option n: ",
    f"{KEYS} {LN} --option n=two": "ln_structured: option n: ",
    f"{KEYS} {LN} --option n": "--option 'n': not a setting; write it as key=value",
    f"{KEYS} {LN} --option dim=5": "",
    # the selection
    f"{TINY} {L1} --count 1 --role attention.q": f"selection: roles.0: Input should be {ROLES} (got 'attention.q')",
    f"{TINY} {L1} --count 1 --layer 5": "layer 5 … 0 … 1",
    f"{TINY} {L1} --count 1 --layer 1-0": "--layer '1-0': the range runs backwards; write it as 0-1",
    f"{TINY} {L1} --count 1 --layer one": "--layer 'one': not a layer; give numbers and ranges ",
    f"{TINY} {L1} --count 1 --type Liner": "'Liner' … Linear",
    f"{TINY} {L1} --count 1 --include *keys": "'*keys' matches no module with a weight; ",
    f"{TINY} {L1} --count 1 --tensor wight": "no tensor is named 'wight'; the model has weight, bias",
    f"{KEYS} {L1} --count 1 --exclude *": "the selection (include *key; exclude *) matches nothing: ",
    # the target
    f"prune tiny-0 {L1} --count 1": "nowhere to write to: give --out DIR (or --as-python for a script alone)",
    f"prune tiny-0 --out taken {L1} --count 1": "taken: exists already; ",
    f"prune tiny-0 --out taken --overwrite {L1} --count 1": "taken: holds mine.txt, which no export of ours wrote; ",
    f"prune tiny-0 --out tiny-0 --overwrite {L1} --count 1": "tiny-0: holds the source checkpoint, ",
    f"prune tiny-0 --out taken/mine.txt {L1} --count 1": "taken/mine.txt: is a file, not a folder; ",
    f"{KEYS} {L1} --count 1 --form dense": "form 'dense' is not known; choose baked or masked",
    f"{KEYS} {L1} --count 1 --seed -1": "a seed is an integer from 0 to 2^63 - 1, not -1",
    f"{KEYS} {L1} --count 1 --json --as-python": "--json and --as-python: both print to the same place; ",
    # the others
    "export tiny-0 out": "tiny-0: not a folder in masked form; `bertprune prune --form masked` writes one",
    "export nowhere out": "nowhere: not a folder in masked form; ",
    "report ./nowhere": "'nowhere' does not exist here; ",
    "report tiny-0 --by colour": "--by 'colour': not a way to group; choose tensor, layer, role, module, type",
    "methods --methods no.py": "no.py: no such file of methods",
    "methods --methods odd.py": "odd.py: ZeroDivisionError: division by zero",
    "evaluate tiny-0": "missing option '--data' (see bertprune evaluate --help)",
    "evaluate tiny-0 --data no.csv": "no.csv: there is no such file",
    "app --port 0": "invalid value for '--port': ",
}


@pytest.fixture
def messy(here: Path) -> Path:
    (here / "odd.yaml").write_text("steps:\n- method: l1_unstructured\n  count: 1\n  amount: 3\n")
    (here / "odd.json").write_text('{"steps": [}')
    (here / "odd.py").write_text("1 / 0\n")
    (here / "taken").mkdir()
    (here / "taken" / "mine.txt").write_text("mine")
    return here


@pytest.mark.parametrize("line", LINES)
def test_wrong_input_is_one_clear_line(messy: Path, cli: Callable[..., Any], line: str) -> None:
    before = sorted(messy.rglob("*"))
    said = cli(line)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert all(words in said.err for words in LINES[line].split(" … "))
    assert str(messy) not in said.err
    assert sorted(messy.rglob("*")) == before
