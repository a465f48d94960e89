"""From a budget to a recipe: the budget holds, the forecast is what the recipe gives, and nonsense is refused."""

from itertools import product

import pytest

import bertprune as bp
from bertprune.errors import BertpruneError, ForeignTextsWarning
from bertprune.model.macs import encoder_macs
from tests.calibration_texts import TEXTS

SIZES = {"num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}


@pytest.fixture(scope="module")
def folder(copy_of_tiny, tmp_path_factory):
    """Give a checkpoint of three layers; tests only read it."""
    return copy_of_tiny(
        tmp_path_factory.mktemp("plans") / "tiny", model_cls="BertForSequenceClassification", dtype="float32", **SIZES
    )


@pytest.fixture(scope="module")
def planned(folder):
    """Give a plan for half of the MACs."""
    return bp.plan(folder, macs=0.5, calibration=TEXTS, rounds=1)


def check_macs(folder, recipe, share, out):
    """See that a plan keeps to its budget and is what its forecast says."""
    checkpoint = bp.Checkpoint.open(folder)
    assert recipe.forecast is not None and recipe.forecast.low <= recipe.forecast.drift <= recipe.forecast.high
    run = bp.prune(checkpoint, recipe, calibration=TEXTS)  # on the same texts, so no warning
    tokenizer = checkpoint.tokenizer()
    length = sum(len(tokenizer(text)["input_ids"]) for text in TEXTS) / len(TEXTS)
    stays = encoder_macs(run.model, length) / encoder_macs(checkpoint.model(), length)
    assert stays == pytest.approx(recipe.forecast.macs) and stays <= share
    assert share - stays < 0.01  # a neuron is less
    result = bp.export(run, out, form="small")
    before, after = bp.speed(out, against=folder, texts=TEXTS, rounds=2).timings[0].macs
    assert after / before == pytest.approx(stays)
    parameters = bp.load(out).num_parameters()
    assert recipe.forecast.bytes == 4 * parameters <= result.files["model.safetensors"]


def test_the_macs_that_stay_are_at_most_the_budget_and_as_forecast(folder, planned, tmp_path):
    check_macs(folder, planned, 0.5, tmp_path / "half")
    quarter = bp.plan(folder, macs=0.25, calibration=TEXTS, rounds=0)
    check_macs(folder, quarter, 0.25, tmp_path / "quarter")


def test_a_recipe_survives_its_file_and_replays_the_same(folder, planned, tmp_path):
    planned.save(tmp_path / "recipe.yaml")
    read = bp.Recipe.load(tmp_path / "recipe.yaml")
    assert read == planned and str(read.forecast) == str(planned.forecast)
    one, other = (bp.prune(folder, each, calibration=TEXTS) for each in (planned, read))
    assert all(one.masks[name].equal(other.masks[name]) for name in one.masks)
    kinds = [step.granularity for step in planned.steps]
    assert kinds == sorted(kinds, key=["neuron", "head"].index)


def test_the_same_seed_plans_the_same_and_progress_can_cancel(folder, planned):
    shares = []
    again = bp.plan(folder, macs=0.5, calibration=TEXTS, rounds=1, progress=lambda share, words: shares.append(share))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert again == planned

    def cancel(share, words):
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bp.plan(folder, macs=0.5, calibration=TEXTS, progress=cancel)


def test_plain_plans_load_without_us(folder):
    recipe = bp.plan(folder, macs=0.3, calibration=TEXTS, loads="plain")
    assert recipe.forecast is not None and recipe.forecast.macs <= 0.3
    assert bp.preview(folder, recipe).loads == "plain"
    assert {step.granularity for step in recipe.steps} <= {"layer", "neuron"}


def test_bytes_are_those_of_the_small_form(folder, tmp_path):
    whole = 4 * bp.Checkpoint.open(folder).facts.parameters
    recipe = bp.plan(folder, bytes=int(0.8 * whole), calibration=TEXTS, rounds=0)
    assert recipe.forecast is not None
    result = bp.export(bp.prune(folder, recipe, calibration=TEXTS), tmp_path / "small", form="small")
    assert 0.79 * whole < result.files["model.safetensors"] <= 0.8 * whole  # names and places among them
    assert 4 * bp.load(tmp_path / "small").num_parameters() == recipe.forecast.bytes


def test_a_drift_takes_as_many_macs_as_it_allows(tiny_folder):
    folder = tiny_folder(**SIZES, initializer_range=0.3)
    loose, strict = (bp.plan(folder, drift=drift, calibration=TEXTS, rounds=0).forecast for drift in (0.05, 0.002))
    assert loose.drift <= 0.05 and strict.drift <= 0.002
    assert loose.macs < strict.macs < 1
    with pytest.raises(BertpruneError) as caught:
        bp.plan(folder, drift=1e-15, calibration=TEXTS)
    assert caught.value.code in ("plan.drift_unreachable", "plan.drift_too_small")
    assert "inf" not in str(caught.value)


def test_sparsity_is_of_the_weights_in_the_layers(folder):
    for share in (0.85, 0.99):
        recipe = bp.plan(folder, sparsity=share, calibration=TEXTS)
        run = bp.prune(folder, recipe, calibration=TEXTS)
        assert recipe.forecast is not None
        assert run.report.total.sparsity == pytest.approx(recipe.forecast.sparsity, abs=1e-9)
        assert run.report.total.sparsity == pytest.approx(share, abs=2e-3)


REFUSED = {
    "plan.one_budget": [{}, {"macs": 0.5, "sparsity": 0.5}],
    "plan.share": [{"macs": 0}, {"macs": 1}, {"macs": 1.5}, {"sparsity": float("nan")}, {"macs": "half"}],
    "plan.number": [{"bytes": 0}, {"drift": -1.0}, {"bytes": True}],
    "plan.unreachable": [{"macs": 0.001}, {"bytes": 100}, {"macs": 0.001, "loads": "plain"}],
    "plan.nothing_to_do": [{"bytes": 10**12}],
    "plan.loads": [{"macs": 0.5, "loads": "anywhere"}],
    "plan.rounds": [{"macs": 0.5, "rounds": -1}],
    "plan.seconds": [{"macs": 0.5, "seconds": 0}],
    "plan.too_few_texts": [{"macs": 0.5, "calibration": TEXTS[:8]}],
    "calibration.none_to_measure": [{"macs": 0.5, "calibration": None}],
    "recipe.seed": [{"macs": 0.5, "seed": "x"}],
}


def test_what_cannot_be_planned_is_refused(folder, subtests):
    for code, cases in REFUSED.items():
        for given in cases:
            with subtests.test(f"{code} {given}"):
                with pytest.raises(BertpruneError) as caught:
                    bp.plan(folder, **{"calibration": TEXTS, **given})
                assert caught.value.code == code


def test_what_cannot_be_met_says_what_can(folder):
    with pytest.raises(BertpruneError) as caught:
        bp.plan(folder, macs=0.001, calibration=TEXTS)
    least = float(str(caught.value.values["least"]))
    recipe = bp.plan(folder, macs=least, calibration=TEXTS, rounds=0)
    assert recipe.forecast is not None and recipe.forecast.macs <= least


def test_one_layer_is_enough(tiny_folder):
    folder = tiny_folder(num_hidden_layers=1)
    for loads in ("any", "plain"):
        recipe = bp.plan(folder, macs=0.6, calibration=TEXTS, loads=loads, rounds=1)
        assert recipe.forecast is not None and recipe.forecast.macs <= 0.6


FAMILIES = {
    "AlbertModel": {"embedding_size": 16},  # one layer, used twice
    "EuroBertForMaskedLM": {"num_key_value_heads": 2},  # matrices of other sizes, whose shares are rounded down
    "DebertaV2Model": {},
    "ModernBertModel": {},  # one matrix for query, key and value
}


def test_every_family_is_planned_for_each_budget(tiny_folder, subtests):
    for name, budget in product(FAMILIES, [{"macs": 0.6}, {"macs": 0.6, "loads": "plain"}, {"sparsity": 0.6}]):
        with subtests.test(f"{name}, {budget}"):
            folder = tiny_folder(name, **FAMILIES[name])
            forecast = bp.plan(folder, calibration=TEXTS, rounds=0, **budget).forecast
            assert forecast is not None
            assert forecast.macs <= budget.get("macs", 1.0) and forecast.sparsity >= budget.get("sparsity", 0.0) - 1e-9


def test_bytes_hold_where_biases_stand_outside_the_projections(tiny_folder, tmp_path):
    folder = tiny_folder("DebertaModel", num_attention_heads=4)  # its query and value have vectors of their own
    most = int(0.8 * 4 * bp.Checkpoint.open(folder).facts.parameters)
    recipe = bp.plan(folder, bytes=most, calibration=TEXTS, rounds=1)
    assert any(step.granularity == "head" for step in recipe.steps) and recipe.forecast is not None
    bp.export(bp.prune(folder, recipe, calibration=TEXTS), tmp_path / "small", form="small")
    assert 4 * bp.load(tmp_path / "small").num_parameters() == recipe.forecast.bytes <= most


def test_a_plain_plan_says_why_no_layer_may_go(tiny_folder):
    folder = tiny_folder("AlbertModel", embedding_size=16)
    with pytest.raises(BertpruneError, match="share their weights") as caught:
        bp.plan(folder, macs=0.1, loads="plain", calibration=TEXTS)
    assert caught.value.code == "selection.shared_layers"


def test_texts_that_are_only_spelled_are_warned_of(folder):
    spelled = ["qxzj vkqp wzxy" + letter for letter in "abcdefghijklmnopqrst"]
    with pytest.warns(ForeignTextsWarning, match="single letters"):
        recipe = bp.plan(folder, macs=0.5, calibration=spelled, rounds=0)
    assert recipe.forecast.is_foreign and recipe.forecast.spelled > 0.6
    with pytest.warns(ForeignTextsWarning, match="single letters") as caught:
        bp.scan(folder, spelled, method="magnitude", reconstruct=False, levels=[0.5])
    assert caught[0].filename == __file__
