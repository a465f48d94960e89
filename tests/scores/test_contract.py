"""What every registered method promises, tested in every scope that it works in."""

from itertools import product

import pytest
import torch

import bertprune as bp
from bertprune.errors import BertpruneError
from bertprune.scores import score
from tests.tiny_models import make_model

METHODS = {name: method for name, method in bp.methods().items() if method.removes in ("element", "slice")}
EACH = [(name, scope) for name, method in METHODS.items() for scope in method.scopes]
SCORED = [
    (name, scope)
    for name, scope in EACH
    if not (METHODS[name].makes_masks or METHODS[name].draws or METHODS[name].needs_texts)
]
"""The methods whose scores can be computed from a weight alone."""
IDS = torch.arange(60).view(10, 6) + 5
TARGETS = ("encoder.layer.0.intermediate.dense", "encoder.layer.1.output.dense")


def model():
    """Make the same small encoder each time; the global random state stays as it is."""
    return make_model("BertModel", hidden_size=8, intermediate_size=6).double()


def targets(one):
    return {name: one.get_submodule(name) for name in TARGETS}


def step(name, scope="local", **amount):
    return bp.Step(method=name, scope=scope, select=list(TARGETS), **amount)


def prune(one, recipe, seed=0):
    bp.apply(one, recipe, seed=seed, calibration=[{"input_ids": IDS}])


def masks(pruned):
    return {name: module.weight_mask.clone() for name, module in targets(pruned).items()}


def units(name, mask):
    """Give whether each thing that the method removes together, an entry or a slice, is alive."""
    if METHODS[name].removes == "element":
        return mask.flatten()
    dim = METHODS[name].options().dim
    return mask.movedim(dim, 0).flatten(1).any(1)


def alive(name, found):
    return [int(units(name, mask).sum()) for mask in found.values()]


def pruned(name, scope, *steps, seed=0):
    one = model()
    prune(one, bp.Recipe(steps=[step(name, scope, **amount) for amount in steps]), seed)
    return one


def times(scope):
    """How many times a count is pruned in each of the two tensors, and in both together."""
    rows = [len(module.weight) for module in targets(model()).values()]
    return {"local": ([1, 1], 2), "row": (rows, sum(rows)), "global": (None, 1)}[scope]


def test_exactly_as_many_are_pruned_as_asked_for(subtests):
    for name, scope in EACH:
        with subtests.test(f"{name}, {scope}"):
            everything = alive(
                name, {key: torch.ones_like(module.weight) > 0 for key, module in targets(model()).items()}
            )
            left = alive(name, masks(pruned(name, scope, {"count": 3})))
            gone = [before - after for before, after in zip(everything, left, strict=True)]
            each, together = times(scope)
            assert each is None or gone == [3 * number for number in each]
            assert sum(gone) == 3 * together


def test_a_slice_is_pruned_as_a_whole_and_a_second_step_takes_from_the_living(subtests):
    for name, scope in EACH:
        with subtests.test(f"{name}, {scope}"):
            first, both = (
                masks(pruned(name, scope, *steps)) for steps in ([{"count": 2}], [{"count": 2}, {"count": 2}])
            )
            for key in first:
                assert not (both[key] & ~first[key]).any()
                if METHODS[name].removes == "slice":
                    dim = METHODS[name].options().dim
                    assert torch.equal(
                        both[key], units(name, both[key]).view(-1, 1).movedim(0, dim).expand_as(both[key])
                    )
            more = sum(alive(name, first)) - sum(alive(name, both))
            assert more == 2 * times(scope)[1]


def test_a_fraction_is_of_the_living(subtests):
    for name, scope in EACH:
        with subtests.test(f"{name}, {scope}"):
            once, twice = (pruned(name, scope, *[{"fraction": 0.5}] * number) for number in (1, 2))
            parts = [sum(alive(name, masks(one))) for one in (once, twice)]
            assert parts[1] == pytest.approx(parts[0] / 2, abs=times(scope)[1])


def test_a_seed_gives_the_same_masks_and_the_global_random_state_stays(subtests):
    for name, scope in EACH:
        with subtests.test(f"{name}, {scope}"):
            torch.manual_seed(77)
            before = torch.random.get_rng_state()
            one = masks(pruned(name, scope, {"count": 3}, seed=5))
            assert torch.equal(torch.random.get_rng_state(), before)
            torch.manual_seed(78)
            again = masks(pruned(name, scope, {"count": 3}, seed=5))
            assert all(torch.equal(mask, again[key]) for key, mask in one.items())


def test_the_lowest_of_its_own_scores_are_pruned(subtests):
    for name, scope in SCORED:
        with subtests.test(f"{name}, {scope}"):
            one, method = pruned(name, scope, {"count": 3}), METHODS[name]
            options = method.options().model_dump()
            scored = []
            for key, module in targets(model()).items():
                shape = (
                    tuple(module.weight.shape)
                    if method.removes == "element"
                    else (module.weight.shape[options["dim"]],)
                )
                scores = score(method, key, module.weight.detach(), shape, options, mask=None).double()
                scored.append((scores, units(name, masks(one)[key]).view(shape)))
            groups = {
                "local": scored,
                "row": [row for pair in scored for row in zip(*pair, strict=True)],
                "global": [tuple(torch.cat([part.flatten() for part in parts]) for parts in zip(*scored, strict=True))],
            }
            for scores, kept in groups[scope]:
                assert scores[~kept].max() <= scores[kept].min()


def test_of_equal_scores_the_first_are_pruned(subtests):
    for name, scope in SCORED:
        with subtests.test(f"{name}, {scope}"):
            one = model()
            with torch.no_grad():
                for module in targets(one).values():
                    module.weight.fill_(0.5)
            prune(one, step(name, scope, count=2))
            for module in targets(one).values():
                kept = units(name, module.weight_mask)
                for part in kept.view(module.weight.shape) if scope == "row" else [kept]:
                    assert not part[: int((~part).sum())].any()


def test_nan_and_infinite_weights_are_refused_by_name(subtests):
    for name, damage in product(METHODS, [float("nan"), float("inf")]):
        with subtests.test(f"{name}, {damage}"):
            one = model()
            with torch.no_grad():
                one.get_submodule(TARGETS[1]).weight[2, 3] = damage
            with pytest.raises(BertpruneError, match=r"output\.dense\.weight holds NaN or infinite values"):
                prune(one, step(name, METHODS[name].scopes[0], count=1))
            assert not hasattr(one.get_submodule(TARGETS[0]), "weight_mask")


def test_it_has_a_title_a_summary_and_options():
    for name, method in METHODS.items():
        assert method.title and method.summary and method.scopes, name
        assert method.options.model_json_schema()["type"] == "object", name
