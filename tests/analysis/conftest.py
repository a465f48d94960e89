"""Tiny models from configs, and golden text files (`pytest tests/analysis --overwrite` writes them anew)."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn

SIZES = {
    "vocab_size": 97,
    "max_position_embeddings": 32,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
DISTIL = {
    "dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 64,
    "vocab_size": 97,
    "max_position_embeddings": 32,
}
FAMILIES = {"Bert": "bert", "Roberta": "roberta", "DistilBert": "distilbert", "Electra": "electra"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="write the golden files of tests/analysis anew")


def tiny(name: str, device: str = "cpu", **changes: object) -> nn.Module:
    """Build a transformers class tiny, seeded, without any download."""
    config_name = name.partition("For")[0].removesuffix("Model") + "Config"
    sizes = DISTIL if name.startswith("DistilBert") else SIZES
    config = getattr(transformers, config_name)(**{**sizes, **changes})
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(0)
        return getattr(transformers, name)(config).eval()


@pytest.fixture(name="tiny")
def tiny_fixture() -> Callable[..., nn.Module]:
    return tiny


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with tests/analysis/golden/NAME, or write that file when asked to."""
    folder = Path(__file__).parent / "golden"

    def check(name: str, text: str) -> None:
        if request.config.getoption("--overwrite", default=False):
            (folder / name).write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == (folder / name).read_text(encoding="utf-8")

    return check
