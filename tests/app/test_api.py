"""The public API, as a program on another machine uses it."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp

pytestmark = pytest.mark.timeout(900)

RECIPE = bp.Recipe(
    steps=[
        bp.Step(
            method="ln_structured",
            fraction=0.25,
            options={"dim": 0},
            select=bp.Selection(roles=["attention.key"], layers=[0]),
        )
    ]
)


@pytest.fixture(scope="module")
def client(address: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from gradio_client import Client

    return Client(address, verbose=False, download_files=str(tmp_path_factory.mktemp("down")))


@pytest.fixture(scope="module")
def source(client: Any) -> str:
    """Name the first embedded checkpoint."""
    from app.handlers.model import offered

    return offered()[0]


def test_only_the_verbs_are_public(client: Any) -> None:
    endpoints = set(client.view_api(return_format="dict")["named_endpoints"])
    assert endpoints == {"/load", "/preview", "/prune", "/inspect", "/report", "/evaluate", "/export"}


def test_the_verbs_say_what_the_library_says(client: Any, source: str, tmp_path: Path) -> None:
    facts = client.predict(source, api_name="/load")
    checkpoint = bp.Checkpoint.open(source)
    assert facts["parameters"] == checkpoint.facts.parameters
    assert any(path.endswith("layer.0.attention.self.key") for path in facts["modules"])
    yaml, run = RECIPE.to_yaml(), bp.prune(checkpoint, RECIPE, seed=3)
    seen = client.predict(source, RECIPE.to_json(), api_name="/preview")
    assert seen["steps"][0]["removed"] == [run.report.total.masked] * 2
    assert client.predict(source, yaml, 3, api_name="/prune") == run.report.to_dict()
    assert client.predict(source, yaml, 3, api_name="/report") == run.report.to_text()
    module = "encoder.layer.0.attention.self.key"
    looked = client.predict(source, module, yaml, 3, api_name="/inspect")
    assert looked["after"] == run.after.module(module).to_dict()
    assert looked["before"] == run.before.module(module).to_dict()
    archive = client.predict(source, yaml, 3, "baked", api_name="/export")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    folder = next(tmp_path.iterdir())
    assert bp.Recipe.load(folder / "recipe.yaml") == RECIPE
    assert bp.sparsity(bp.Checkpoint.open(folder).model()).model.zero >= run.report.total.masked
    checkpoint.release()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("/etc/passwd", "", "/preview"), "is not the id"),
        (("kobert-shape", "", "/preview"), "recipe is empty"),
        (("kobert-shape", "steps: [{method: none_such, fraction: 0.1}]", "/preview"), "none_such"),
        (("kobert-shape", "a: &x [1]", "/preview"), "anchors"),
    ],
)
def test_wrong_calls_get_the_librarys_line(client: Any, call: tuple[str, str, str], said: str) -> None:
    source, recipe, name = call
    with pytest.raises(Exception, match=said) as caught:
        client.predict(source, recipe, api_name=name)
    assert "Traceback" not in str(caught.value)


def test_evaluate_measures_on_the_samples(client: Any) -> None:
    found = client.predict("demo", RECIPE.to_yaml(), 0, api_name="/evaluate")
    run = bp.prune("demo", RECIPE)
    expected = bp.evaluate(run, "samples").to_dict()
    for gone in (found, expected):
        gone.pop("seconds")
        gone.pop("before_name")
        gone.pop("after_name")
    assert found == expected


@pytest.mark.parametrize("name", ["load", "preview", "prune", "inspect", "report", "evaluate", "export"])
def test_every_verb_is_documented_and_refuses_what_is_no_source(client: Any, name: str) -> None:
    told = client.view_api(return_format="dict")["named_endpoints"][f"/{name}"]
    assert told["parameters"][0]["parameter_name"] == "source"
    assert len(told["description"]) > 20
    with pytest.raises(Exception, match="is not the id of a model") as caught:
        client.predict("../../etc/passwd", api_name=f"/{name}")
    assert "Traceback" not in str(caught.value)
    assert "site-packages" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**64])
def test_a_seed_is_a_whole_number(client: Any, seed: Any) -> None:
    with pytest.raises(Exception, match="seed must be a whole number"):
        client.predict("demo", RECIPE.to_yaml(), seed, api_name="/report")


@pytest.mark.parametrize("form", ["baked?", ""])
def test_an_unknown_form_names_the_known_ones(client: Any, form: str) -> None:
    with pytest.raises(Exception, match="form") as caught:
        client.predict("demo", RECIPE.to_yaml(), 0, form, api_name="/export")
    assert "masked" in str(caught.value)


def test_an_unknown_module_is_named(client: Any) -> None:
    with pytest.raises(Exception, match="no_such_module"):
        client.predict("demo", "no_such_module", "", 0, api_name="/inspect")
