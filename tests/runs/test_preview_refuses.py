"""What `prune` would refuse without looking at values, `preview` refuses with the same code."""

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.utils import prune as torch_prune

import bertprune as bp

pytestmark = pytest.mark.filterwarnings("ignore::bertprune.errors.NoEffectWarning")

VALUES = {"prune.not_finite", "prune.nan_score", "prune.not_enough"}
"""What only the values, or what earlier steps left of them, can tell; the first step's amounts are checked below."""


class Picky(torch_prune.BasePruningMethod):
    """Refuse an option when it is made."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any, least: int = 0) -> None:
        if least < 0:
            raise OSError("least is negative")

    def compute_mask(self, t: torch.Tensor, default_mask: torch.Tensor) -> torch.Tensor:
        return default_mask.clone()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bp.Checkpoint:
    import transformers

    folder = tmp_path_factory.mktemp("preview") / "tiny"
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertModel(config).save_pretrained(folder)
    return bp.Checkpoint.open(folder)


METHODS = ["l1_unstructured", "random_unstructured", "ln_structured", "random_structured", "l1_unstructurd", "picky"]
NORMS = [2, 1, 0, -1, 0.5, float("inf"), float("-inf"), "fro", "nuc", "two", 2**70, 10**400, None, True]
options = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from(NORMS),
        "dim": st.sampled_from([0, 1, -1, -2, 2, -3, 10**30, 0.0, "0", None]),
        "least": st.sampled_from([0, -1, "x"]),
        "other": st.just(1),
    },
)
selections = st.sampled_from(
    [
        "*",
        "pooler.dense",
        "poolr.dense",
        "encoder",
        "*LayerNorm",
        bp.Selection(roles="ffn.output"),
        bp.Selection(layers=[0, 4]),
        bp.Selection(types="Conv1d"),
        bp.Selection(tensor="bias"),
        bp.Selection(tensor="wieght"),
        bp.Selection(exclude="*"),
        bp.Selection(exclude="head.*"),
        bp.Selection(include="*{1..999}*"),
    ]
)
amounts = st.one_of(
    st.builds(lambda f: {"fraction": f}, st.sampled_from([1e-9, 0.3, 1.0])),
    st.builds(lambda n: {"count": n}, st.sampled_from([1, 4, 9, 40, 10**4, 10**40])),
)
steps = st.builds(
    lambda amount, **fields: {**fields, **amount},
    amounts,
    method=st.sampled_from(METHODS),
    scope=st.sampled_from(["local", "global"]),
    options=options,
    select=selections,
)
seeds = st.sampled_from([0, 0, 0, 7, -1, 2**63, "0", None, True])
dtypes = st.sampled_from(["bool", "bool", "float", "int8", None])


def refusal(call: Any) -> tuple[str, object] | None:
    """Return the code of the error that a call raises, and the step that it names."""
    try:
        call()
    except bp.BertpruneError as error:
        return error.code, error.values.get("step")
    return None


@pytest.mark.usefixtures("temporary_methods")
@settings(max_examples=40)
@example([{"method": "ln_structured", "fraction": 0.3, "options": {"n": "nuc"}, "select": "pooler.dense"}], 0, "bool")
@example([{"method": "picky", "fraction": 0.3, "options": {"least": -1}, "select": "pooler.dense"}], 0, "bool")
@example([{"method": "l1_unstructured", "count": 65, "select": "pooler.dense"}], 0, "bool")
@given(st.lists(steps, min_size=1, max_size=3), seeds, dtypes)
def test_preview_refuses_what_prune_would(
    checkpoint: bp.Checkpoint, steps: list[dict[str, Any]], seed: Any, mask_dtype: Any
) -> None:
    bp.method("picky")(Picky)
    refused = refusal(lambda: bp.prune(checkpoint, steps, seed, mask_dtype=mask_dtype))
    foreseen = refusal(lambda: bp.preview(checkpoint, steps, seed, mask_dtype=mask_dtype))
    if refused and refused[0] in VALUES and len(steps) != 1:
        return
    assert foreseen == refused


def test_a_mistake_has_the_same_code_wherever_it_is_found(checkpoint: bp.Checkpoint, tmp_path: Any) -> None:
    good, wrong = ({"method": name, "fraction": 0.5, "select": "pooler.dense"} for name in METHODS[3:5])
    bp.Recipe.of([good, wrong]).save(tmp_path / "recipe.yaml")
    for recipe in (wrong, [good, wrong], tmp_path / "recipe.yaml"):
        for call in (bp.prune, bp.preview, lambda one, recipe: bp.apply(one.load(), recipe)):
            found = refusal(lambda call=call, recipe=recipe: call(checkpoint, recipe))
            assert found == ("method.misspelt", None if recipe is wrong else 2)
    (tmp_path / "wrong.yaml").write_text("steps: [{method: x, fraction: 010}]")
    with pytest.raises(bp.BertpruneError, match=r"^wrong\.yaml: the recipe is not valid YAML") as caught:
        bp.Recipe.load(tmp_path / "wrong.yaml")
    assert (caught.value.code, caught.value.values["file"]) == ("recipe.yaml", "wrong.yaml")
