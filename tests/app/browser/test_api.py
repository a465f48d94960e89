"""The public API, as a program on another machine calls it."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

import bertprune as bp

pytestmark = pytest.mark.timeout(900)

VERBS = ("load", "preview", "prune", "inspect", "report", "evaluate", "plan", "export")
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
    from app.opening import offered

    return offered()[0]


def test_only_the_verbs_are_public(client: Any) -> None:
    endpoints = set(client.view_api(return_format="dict")["named_endpoints"])
    assert endpoints == {f"/{verb}" for verb in VERBS}


def test_the_verbs_answer_as_the_library_does(client: Any, source: str, tmp_path: Path) -> None:
    facts = client.predict(source, api_name="/load")
    checkpoint = bp.Checkpoint.open(source)
    assert facts["parameters"] == checkpoint.facts.parameters
    assert any(path.endswith("layer.0.attention.self.key") for path in facts["modules"])
    yaml, run = RECIPE.to_yaml(), bp.prune(checkpoint, RECIPE, seed=3)
    seen = client.predict(source, RECIPE.to_json(), api_name="/preview")
    assert seen["steps"][0]["removed"] == [run.report.total.masked] * 2
    assert client.predict(source, yaml, 3, api_name="/prune") == {**run.report.to_dict(), "notes": list(run.notes)}
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


def test_texts_calibrate_one_a_line(client: Any) -> None:
    texts = [f"영화 {number}편을 보았다" for number in range(12)]
    step = bp.Step(method="wanda", fraction=0.5, select=bp.Selection(roles=["attention.key"]))
    run = bp.prune("demo", step, calibration=texts)
    recipe = bp.Recipe(steps=[step]).to_yaml()
    found = client.predict("demo", recipe, 0, "\n".join(texts), api_name="/prune")
    assert found == {**run.report.to_dict(), "notes": list(run.notes)}
    assert found["notes"] == ["calibrated on 12 texts"]
    assert client.predict("demo", recipe, 0, api_name="/prune")["notes"] != found["notes"]


def test_every_verb_is_documented_and_answers_a_wrong_source_in_one_line(
    client: Any, subtests: pytest.Subtests
) -> None:
    for verb in VERBS:
        with subtests.test(verb):
            shown = client.view_api(return_format="dict")["named_endpoints"][f"/{verb}"]
            assert shown["parameters"][0]["parameter_name"] == "source"
            assert len(shown["description"]) > 20
            with pytest.raises(Exception, match="is not a Hub id") as caught:
                client.predict("../../etc/passwd", api_name=f"/{verb}")
            assert "Traceback" not in str(caught.value)
            assert "site-packages" not in str(caught.value)


def test_wrong_recipes_forms_and_modules_are_answered_by_the_librarys_line(client: Any) -> None:
    for values, verb, said in (
        (["demo", ""], "preview", "recipe is empty"),
        (["demo", "steps: [{method: none_such, fraction: 0.1}]"], "preview", "none_such"),
        (["demo", "no_such_module", "", 0], "inspect", "no_such_module"),
        (["demo", RECIPE.to_yaml(), 0, "baked?"], "export", "masked"),
    ):
        with pytest.raises(Exception, match=said):
            client.predict(*values, api_name=f"/{verb}")


def test_evaluate_measures_on_the_samples(client: Any) -> None:
    found = client.predict("demo", RECIPE.to_yaml(), 0, api_name="/evaluate")
    run = bp.prune("demo", RECIPE)
    expected = bp.evaluate(run, "samples").to_dict()
    for gone in (found, expected):
        gone.pop("seconds")
        gone.pop("before_name")
        gone.pop("after_name")
    assert found == expected
