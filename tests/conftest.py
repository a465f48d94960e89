"""Fixtures for all tests: tiny seeded models of four families, tiny checkpoint folders, a browser."""

import os

# Before torch, the Hub or gradio are imported: no network, one thread, no pop-up windows.
os.environ.update(
    HF_HUB_OFFLINE="1",
    OMP_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    MPLBACKEND="Agg",
    GRADIO_ANALYTICS_ENABLED="False",
)

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.tiny_models import make_model, make_tokenizer, write_checkpoint

settings.register_profile(
    "ci",
    max_examples=25,  # the same ones each time; `make fuzz` searches
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("search", settings.get_profile("ci"), derandomize=False, max_examples=2000, deadline=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> None:
    """Keep what a file finds, most of it imported, from the garbage collector, which looks through it for a second."""
    gc.collect()
    gc.freeze()


def tiny(model_cls: str, device: str = "cpu", **changes: Any) -> Any:
    """Build a tiny model on a device, such as meta."""
    import torch

    with torch.device(device):
        return make_model(model_cls, **changes)


@pytest.fixture
def tiny_bert() -> Any:
    """Return a BertModel: base model, no prefix, with a pooler."""
    return make_model("BertModel")


@pytest.fixture
def tiny_mlm() -> Any:
    """Return a BertForMaskedLM: its decoder is tied to the word embeddings."""
    return make_model("BertForMaskedLM")


@pytest.fixture
def tiny_classifier() -> Any:
    """Return a BertForSequenceClassification with two labels."""
    return make_model("BertForSequenceClassification")


@pytest.fixture(params=["BertModel", "RobertaModel", "DistilBertModel", "ElectraModel"])
def family(request: pytest.FixtureRequest) -> Any:
    """Return the base model of each family in turn."""
    return make_model(request.param)


@pytest.fixture
def tiny_tokenizer() -> Any:
    """Return the tokenizer of the tiny folders."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def copy_of_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that copies into a folder what `write_checkpoint` writes; each checkpoint is written once."""
    root, written = tmp_path_factory.mktemp("tiny"), dict[str, Path]()

    def copy(folder: Path, **options: Any) -> Path:
        key = repr(sorted(options.items()))
        if key not in written:
            written[key] = write_checkpoint(root / str(len(written)), **options)
        return Path(shutil.copytree(written[key], folder))

    return copy


@pytest.fixture
def tiny_folder(tmp_path: Path, copy_of_tiny: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that writes a tiny checkpoint folder, see `write_checkpoint`; each call makes another one."""
    numbers = count()

    def write(model_cls: str = "BertForSequenceClassification", dtype: str = "float32", **options: Any) -> Path:
        return copy_of_tiny(tmp_path / f"tiny-{next(numbers)}", model_cls=model_cls, dtype=dtype, **options)

    return write


@pytest.fixture
def sentence_folder(tiny_folder: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function that writes a tiny sentence-transformers folder as that library does: see `write`."""

    def write(
        pooling: Any = "mean",
        dense: bool = False,
        normalize: bool = False,
        inside: str = "",
        settings: dict[str, Any] | None = None,
        pool: dict[str, Any] | None = None,
        **tiny: Any,
    ) -> Path:
        """Write the transformer into the folder `inside`, and `settings` as config_sentence_transformers.json."""
        from safetensors.torch import save_file

        folder = tiny_folder(**{"model_cls": "BertModel", **tiny})
        modes = [pooling] if isinstance(pooling, str) else pooling
        kinds = ["Transformer", "Pooling", *["Dense"] * dense, *["Normalize"] * normalize]
        paths = [inside, *(f"{at}_{kind}" for at, kind in enumerate(kinds[1:], 1))]
        if inside:
            files = list(folder.iterdir())
            (folder / inside).mkdir()
            for path in files:
                path.rename(folder / inside / path.name)
        given = {"embedding_dimension": 32, "pooling_mode": pooling, "include_prompt": True, **(pool or {})}
        written = {"1_Pooling/config.json": given}
        if dense:
            linear = {"in_features": 32 * len(modes), "out_features": 8, "bias": True}
            written["2_Dense/config.json"] = {**linear, "activation_function": "torch.nn.modules.activation.Tanh"}
        for path in paths[1:]:
            (folder / path).mkdir()
        modules = zip(kinds, paths, strict=True)
        listed = [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for at, (kind, path) in enumerate(modules)
        ]
        written |= {"modules.json": listed, "config_sentence_transformers.json": settings or {}}
        written[str(Path(inside, "sentence_bert_config.json"))] = {"max_seq_length": 12, "do_lower_case": False}
        for name, content in written.items():
            (folder / name).write_text(json.dumps(content))
        if dense:
            weights = make_model("BertModel", seed=5).state_dict()["encoder.layer.0.intermediate.dense.weight"]
            wide = weights[:8].repeat(1, len(modes)).contiguous()
            save_file(
                {"linear.weight": wide * 9, "linear.bias": wide[:, 0] + 0.1}, folder / "2_Dense/model.safetensors"
            )
        return folder

    return write


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--overwrite", action="store_true", help="rewrite the golden text files")


BROWSER = "tests/app/browser/"
ONNX = "tests/exports/test_onnx"
LONGEST = (
    *(BROWSER, ONNX, "tests/test_tutorial.py", "tests/sweeps/test_processes.py", "tests/test_docstrings.py"),
    *("tests/plans/test_budgets.py", "tests/sweeps/test_cluster.py"),
)
"""What begins first, so that no worker is left alone with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: the tests that drive a browser. One of those that fails is tried once more."""
    items.sort(key=lambda item: [not item.nodeid.startswith(start) for start in LONGEST])
    for item in items:
        if item.nodeid.startswith(BROWSER):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run all tests that share one page, or what was made as ONNX; the others take file by file."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = next(filter(nodeid.startswith, (BROWSER, ONNX)), None)
            return shared or str(super()._split_scope(nodeid))

    config.option.loadscopereorder = False
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a function that compares a text with golden/NAME next to the test file, or writes it on --overwrite."""
    folder = request.path.parent / "golden"

    def check(name: str, text: str) -> None:
        if request.config.getoption("--overwrite"):
            (folder / name).write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == (folder / name).read_text(encoding="utf-8")

    return check


@pytest.fixture(name="tiny")
def tiny_fixture() -> Callable[..., Any]:
    """Return the function that builds a class of transformers tiny and seeded, on a device."""
    return tiny


@pytest.fixture
def temporary_methods(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a register of methods for this test alone: what is registered in it is forgotten afterwards."""
    from bertprune.model.hooks import HOOK_MAKERS
    from bertprune.scores import methods, registry

    for method, maker in HOOK_MAKERS.items():
        monkeypatch.setitem(HOOK_MAKERS, method, maker)
    monkeypatch.setattr(registry, "REGISTER", dict(methods()))
    return registry.REGISTER


@pytest.fixture(scope="session")
def kobert() -> Iterator[Any]:
    """Return the checkpoint `kobert-shape`, opened once for all tests; do not change it."""
    import bertprune as bp

    checkpoint = bp.Checkpoint.open("kobert-shape")
    yield checkpoint
    checkpoint.release()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Find Chromium; without one the test is skipped, or fails if a browser is required."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
    found = os.environ.get("BERTPRUNE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None and os.environ.get("BERTPRUNE_REQUIRE_BROWSER") == "1":
        pytest.fail("a browser is required (BERTPRUNE_REQUIRE_BROWSER=1), and no Chromium was found")
    if found is None:
        pytest.skip("no Chromium on this machine; set BERTPRUNE_CHROMIUM to the path of one")
    return found
