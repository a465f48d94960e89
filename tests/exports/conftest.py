"""Runs to export."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp
from tests.calibration_texts import TEXTS
from tests.tiny_models import make_model, make_tokenizer

KEY = "bert.encoder.layer.0.attention.self.key"
RECIPE = bp.Recipe(
    steps=[
        bp.Step(method="random_unstructured", fraction=0.3, select="*attention.self.key"),
        bp.Step(method="l1_unstructured", count=5, select=bp.Selection(include="*attention.self.key", tensor="bias")),
        bp.Step(method="ln_structured", fraction=0.3, options={"n": 2, "dim": 1}, select="*attention.self.key"),
        bp.Step(method="l1_unstructured", fraction=0.2, scope="global", select="*attention.self.{query,key}"),
    ]
)
"""Every kind of hook: torch's own, a stacked container, one on a bias, and one of a global step."""

NEURONS = bp.Step(method="magnitude", granularity="neuron", fraction=0.5)
UNEQUAL = [
    bp.Step(method="token_count", count=7),
    bp.Step(method="magnitude", granularity="neuron", count=9, select=bp.Selection(layers=[1])),
    bp.Step(method="magnitude", granularity="head", count=1, select=bp.Selection(layers=[0])),
]
LABELS = {0: "bad \"'", 1: "good"}
Made = tuple[bp.PruningRun, Any]
"""A run and its export."""

WORDS = bp.Step(method="l1_unstructured", fraction=0.25, select=bp.Selection(roles=["embeddings.word"]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the recipe prune the biases of new models, which are zero, without a warning."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings("ignore:.*zero already"))


@pytest.fixture
def pruned(tiny_folder: Callable[..., Path]) -> Callable[..., Any]:
    """Return a function that prunes a tiny folder: (recipe, seed, arguments of tiny_folder) -> run."""

    def make(recipe: Any = RECIPE, seed: int = 0, **folder: Any) -> Any:
        return bp.prune(tiny_folder(**folder), recipe, seed)

    return make


@pytest.fixture
def unchanged_randomness() -> Iterator[None]:
    """Fail if torch's global random state has changed afterwards."""
    import torch

    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def as_onnx(folder: Path, model_cls: str, steps: Any, **changes: Any) -> Made:
    make_model(model_cls, initializer_range=0.3, **changes).save_pretrained(folder / "tiny")
    make_tokenizer().save_pretrained(folder / "tiny")
    run = bp.prune(folder / "tiny", steps, calibration=TEXTS)
    return run, bp.export(run, folder / "out", form="onnx")


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Give a classifier of one layer with half of its neurons, as ONNX."""
    folder = tmp_path_factory.mktemp("onnx")
    return as_onnx(folder, "BertForSequenceClassification", NEURONS, num_hidden_layers=1, id2label=LABELS)


@pytest.fixture(scope="session")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Give a masked-language model with fewer tokens, whose layers have different shapes, as ONNX."""
    return as_onnx(tmp_path_factory.mktemp("unequal"), "RobertaForMaskedLM", UNEQUAL)


def given_by_torch(run: bp.PruningRun, texts: list[str]) -> Any:
    """Return the logits of a run's model."""
    import torch

    model, batch = run.model, run.tokenizer(texts, padding=True, return_tensors="pt")
    batch = {name: batch[name] for name in batch if name != "token_type_ids" or model.config.type_vocab_size > 1}
    with torch.no_grad():
        return model(**batch).logits
