"""Whole layers: what is left computes exactly what the model without them does, in every family that has them."""

import re
from itertools import pairwise, product
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import bertprune as bp
from bertprune.errors import BertpruneError, NoEffectWarning
from tests.model.tiny_families import INPUT, KNOWN, OWN_LAYERS, build, outputs
from tests.tiny_models import make_model

SHARED = ("albert", "albert-groups")
FIRST_DIFFERS = ("modernbert", "t5", "t5-gated")
KINDS = [name for name in OWN_LAYERS if name not in SHARED]
LAYER = re.compile(r"((?:^|\.)(?:layer|layers|block)\.)(\d+)(?=\.)")


def by_number(*layers: int) -> bp.Step:
    return bp.Step(granularity="layer", fraction=1.0, select=bp.Selection(layers=layers))


def deep(name: str, layers: int = 5) -> Any:
    model_cls, config_cls, values = KNOWN[name]
    key = {"T5Config": "num_layers", "DistilBertConfig": "n_layers"}.get(config_cls, "num_hidden_layers")
    return build(model_cls, config_cls, values | {key: layers})


def without(model: Any, gone: tuple[int, ...]) -> Any:
    """Build the model that has the other layers only, by transformers alone."""
    config = type(model.config).from_dict(model.config.to_dict())
    count = config.num_hidden_layers
    left = [number for number in range(count) if number not in gone]
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[number] for number in left]
    config.num_hidden_layers = len(left)
    state = {}
    for name, value in model.state_dict().items():
        found = LAYER.search(name)
        if found is None or int(found[2]) in left:
            moved = found and f"{name[: found.start(2)]}{left.index(int(found[2]))}{name[found.end(2) :]}"
            state[moved or name] = value
    smaller = type(model)(config).eval()
    smaller.load_state_dict(state)
    return smaller


def test_what_is_left_gives_exactly_what_the_model_without_them_gives(subtests: pytest.Subtests) -> None:
    for name, gone in product(KINDS, [(1, 4), (0, 1)]):
        with subtests.test(f"{name}, {gone}"):
            model = deep(name)
            if gone[0] == 0 and name in FIRST_DIFFERS:
                with pytest.raises(BertpruneError, match="built differently") as caught:
                    bp.apply(model, by_number(*gone))
                assert caught.value.code == "selection.first_layer"
                continue
            smaller = without(model, gone)
            (outcome,) = bp.apply(model, by_number(*gone))
            assert outcome.cut.layers == gone and model.config.num_hidden_layers == 5 - len(gone)
            assert torch.equal(outputs(model), outputs(smaller))
            assert getattr(model.config, "layer_types", None) == getattr(smaller.config, "layer_types", None)
            with torch.no_grad():
                states = model(input_ids=INPUT, output_hidden_states=True).hidden_states
            assert len(states) == 5 - len(gone) + 1


def test_layers_that_share_their_weights_are_refused() -> None:
    for name in SHARED:
        with pytest.raises(BertpruneError) as caught:
            bp.apply(build(*KNOWN[name]), by_number(0))
        assert caught.value.code == "selection.shared_layers", name


IMPOSSIBLE = [
    ({"fraction": 1.0}, "prune.every_layer"),
    ({"count": 4}, "prune.every_layer"),
    ({"count": 5}, "prune.not_enough"),
    ({"count": 3, "select": bp.Selection(layers=[1, 2])}, "prune.not_enough"),
    ({"fraction": 1.0, "select": bp.Selection(layers=[7])}, "selection.unknown_layer"),
    ({"fraction": 1.0, "select": "embeddings.*"}, "selection.no_layer"),
    ({"count": 1}, "calibration.needed"),
    ({"count": 1, "scope": "global"}, "method.scope"),
    ({"count": 1, "reconstruct": True}, "recipe.reconstruct"),
    ({"count": 1, "method": "magnitude"}, "method.granularity"),
]


def test_what_cannot_be_removed_is_refused_and_the_model_stays(subtests: pytest.Subtests) -> None:
    model = make_model("BertModel", num_hidden_layers=4)
    before = list(model.state_dict())
    for step, code in IMPOSSIBLE:
        with subtests.test(f"{code}: {step}"):
            with pytest.raises(BertpruneError) as caught:
                bp.apply(model, bp.Step(granularity="layer", **step))
            assert caught.value.code == code
            assert list(model.state_dict()) == before and model.config.num_hidden_layers == 4


def test_an_unknown_architecture_is_refused_by_name() -> None:
    with pytest.raises(BertpruneError) as caught:
        bp.apply(build("FNetModel", "FNetConfig", {"hidden_size": 32, "vocab_size": 97}), by_number(0))
    assert caught.value.code == "selection.unknown_layers" and "layers of FNetModel" in str(caught.value)


def influence(model: Any, batch: dict[str, Any]) -> list[float]:
    """Compute Block Influence from the hidden states of each text by itself, without padding."""
    pairs: list[list[float]] = [[] for _ in range(model.config.num_hidden_layers)]
    for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
        with torch.no_grad():
            states = model(input_ids=ids[mask != 0][None], output_hidden_states=True).hidden_states
        for layer, (before, after) in enumerate(pairwise(states)):
            for one, other in zip(before[0].double(), after[0].double(), strict=True):
                pairs[layer].append(float(1 - one @ other / one.norm() / other.norm()))
    return [sum(values) / len(values) for values in pairs]


@settings(max_examples=8)
@given(seed=st.integers(0, 50), count=st.integers(1, 4))
def test_by_score_those_go_that_change_their_input_least(seed: int, count: int) -> None:
    model = make_model("BertModel", seed, num_hidden_layers=5)
    with torch.no_grad():
        for layer in model.encoder.layer:  # unequal ones
            for part in (layer.attention.output.dense, layer.output.dense):
                part.weight.mul_(float(torch.rand((), generator=torch.Generator().manual_seed(seed + 7))) * 40)
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 9, (6, 1), generator=draw)
    batch = {
        "input_ids": torch.randint(5, 97, (6, 8), generator=draw),
        "attention_mask": (torch.arange(8) < lengths).long(),
    }
    scores = influence(model, batch)
    (outcome,) = bp.apply(model, bp.Step(method="layer_change", count=count), calibration=[batch])
    assert outcome.cut.layers == tuple(sorted(sorted(range(5), key=scores.__getitem__)[:count]))


def test_a_first_layer_that_must_stay_is_not_chosen_by_score() -> None:
    model = deep("t5", 3)
    (outcome,) = bp.apply(model, bp.Step(method="layer_change", count=2), calibration=[{"input_ids": INPUT}])
    assert outcome.cut.layers == (1, 2)


def test_the_steps_after_it_see_what_is_left() -> None:
    model = make_model("BertModel", num_hidden_layers=4)
    with pytest.raises(BertpruneError, match=r"step 2: the model has no layer 1; it has 0, 2, 3"):
        bp.apply(model, [by_number(1), bp.Step(method="l1_unstructured", count=1, select=bp.Selection(layers=[1, 2]))])
    first, removed, last = bp.apply(
        model,
        [
            bp.Step(method="l1_unstructured", fraction=0.5, select="encoder.layer.*.output.dense"),
            by_number(1),
            bp.Step(method="l1_unstructured", count=2, select="encoder.layer.*.output.dense"),
        ],
    )
    assert len(first.tensors) == 8 and removed.removed < removed.alive_before + 1
    assert [one.name.split(".")[2] for one in last.tensors] == ["0", "0", "2", "2", "3", "3"]
    assert hasattr(model.encoder.layer._modules["3"].output.dense, "weight_mask")
    with pytest.warns(NoEffectWarning):
        bp.apply(model, bp.Step(method="layer_change", fraction=0.01), calibration=[{"input_ids": INPUT}])


def test_every_layer_but_one_may_go_over_several_steps() -> None:
    model = make_model("BertModel", num_hidden_layers=3)
    with pytest.raises(BertpruneError) as caught:
        bp.apply(model, [by_number(0), by_number(1, 2)])
    assert caught.value.code == "prune.every_layer"
    bp.apply(model, [by_number(0), by_number(2)])
    assert list(model.encoder.layer._modules) == ["1"] and len(bp.tree(model).find("encoder.layer").children) == 1
    assert transformers.AutoConfig.for_model(**model.config.to_dict()).num_hidden_layers == 1


def test_a_method_of_ones_own_scores_tokens_before_and_after(temporary_methods: dict[str, Any]) -> None:
    @bp.method("growth", removes="layer")
    def growth(before: torch.Tensor, *, after: torch.Tensor, power: float = 1.0) -> torch.Tensor:
        """Remove the layers that lengthen their input least."""
        return (after - before).norm(dim=-1) ** power

    model = make_model("BertModel", num_hidden_layers=3)
    (outcome,) = bp.apply(model, bp.Step(method="growth", count=1), calibration=[{"input_ids": INPUT}])
    assert len(outcome.cut.layers) == 1
    for wrong in (
        lambda: bp.method("one", removes="layer")(lambda before: before),
        lambda: bp.method("two")(lambda weight, *, after: weight),
        lambda: bp.method("three", granularities=("element", "layer"))(lambda weight: weight),
    ):
        with pytest.raises(BertpruneError) as caught:
            wrong()
        assert caught.value.code in ("method.alone", "method.after")
