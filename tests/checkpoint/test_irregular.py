"""Models whose layers have unequal shapes: transformers' auto classes know them, and they behave as the dense ones."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModel

import bertprune as bp
from bertprune.errors import CheckpointError
from tests.model.tiny_families import INPUT, KNOWN, SMALL

SHAPES = {"kept_neurons": [10, 20], "kept_heads": [[0, 2], [3]]}
HEADS = {
    "AutoModel": "BertModel",
    "AutoModelForMaskedLM": "BertForMaskedLM",
    "AutoModelForPreTraining": "BertForPreTraining",
    "AutoModelForCausalLM": "BertLMHeadModel",
    "AutoModelForSequenceClassification": "BertForSequenceClassification",
    "AutoModelForTokenClassification": "BertForTokenClassification",
    "AutoModelForQuestionAnswering": "BertForQuestionAnswering",
    "AutoModelForMultipleChoice": "BertForMultipleChoice",
    "AutoModelForNextSentencePrediction": "BertForNextSentencePrediction",
}


def irregular(auto: str = "AutoModel", kind: str = "bert", values: dict[str, Any] = SMALL, **changes: Any) -> Any:
    """Build a seeded irregular model; the global random state does not change."""
    config = AutoConfig.for_model(f"bertprune-{kind}", **values | SHAPES | changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return getattr(transformers, auto).from_config(config).eval()


@pytest.mark.parametrize("auto", HEADS)
def test_every_task_is_built_saved_and_loaded_again(auto: str, tmp_path: Path) -> None:
    model = irregular(auto)
    assert isinstance(model, getattr(transformers, HEADS[auto]))
    base = model.base_model.encoder.layer
    assert [layer.intermediate.dense.out_features for layer in base] == [10, 20]
    assert [layer.attention.self.query.out_features for layer in base] == [16, 8]
    model.save_pretrained(tmp_path)
    ids = INPUT[:, None] if "MultipleChoice" in auto else INPUT
    back = getattr(transformers, auto).from_pretrained(tmp_path).eval()
    ours = bp.load(tmp_path)
    for other in (back, ours):
        assert type(other) is type(model)
        with torch.no_grad():
            torch.testing.assert_close(other(input_ids=ids)[0], model(input_ids=ids)[0])


def test_hidden_states_attentions_and_gradients_are_those_of_the_layers() -> None:
    model = irregular(attn_implementation="eager")
    given = model(input_ids=INPUT, output_hidden_states=True, output_attentions=True)
    assert [tuple(states.shape) for states in given.hidden_states] == [(2, 6, 32)] * 3
    assert [tuple(weights.shape) for weights in given.attentions] == [(2, 2, 6, 6), (2, 1, 6, 6)]
    given.last_hidden_state.sum().backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "pooler" not in name)


def test_it_can_be_copied_and_pickled() -> None:
    model = irregular()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other) is type(model) and other.config.to_dict() == model.config.to_dict()
        with torch.no_grad():
            assert torch.equal(other(INPUT)[0], model(INPUT)[0])
    assert model.config == copy.deepcopy(model.config)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kept_neurons": [10]}, "one entry for each layer"),
        ({"kept_neurons": None}, "one entry for each layer"),
        ({"kept_neurons": [10, 0]}, "numbers from 1 to 48"),
        ({"kept_neurons": [10, 49]}, "numbers from 1 to 48"),
        ({"kept_neurons": [10, "20"]}, "numbers from 1 to 48"),
        ({"kept_heads": [[0], []]}, "heads from 0 to 3"),
        ({"kept_heads": [[0], [4]]}, "heads from 0 to 3"),
        ({"kept_heads": [[0], [1, 1]]}, "heads from 0 to 3"),
        ({"kept_heads": [[0], 1]}, "heads from 0 to 3"),
        ({"kept_heads": [[0], [1], [2]], "kept_neurons": [1, 2, 3]}, "2 layers"),
        ({"num_attention_heads": 0}, "at least 1"),
        ({"architectures": ["IrregularNothing"]}, ""),
    ],
)
def test_a_wrong_config_is_one_line(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    irregular().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    if not reason:
        assert type(bp.load(tmp_path)).__name__ == "IrregularBertModel"
        return
    with pytest.raises(CheckpointError, match=reason) as caught:
        bp.Checkpoint.open(tmp_path)
    assert "\n" not in str(caught.value)


IN_ANY_ORDER = {
    "before": "import bertprune, transformers",
    "after": "from transformers import AutoModel, AutoConfig\nimport bertprune",
    "between": "from transformers import AutoConfig\nimport bertprune",
    "lazily": "import transformers, bertprune",
}
LOAD = """
import sys
{imports}
if {lazily}:
    assert "transformers.models.auto.modeling_auto" not in sys.modules
    assert "torch" not in sys.modules
from transformers import AutoConfig, AutoModel
assert AutoConfig.from_pretrained(sys.argv[1]).kept_neurons == [10, 20]
from transformers import AutoModelForMaskedLM
print(type(AutoModelForMaskedLM.from_pretrained(sys.argv[1])).__name__)
"""


@pytest.mark.parametrize("order", IN_ANY_ORDER)
def test_importing_bertprune_is_enough_in_any_order(order: str, tmp_path: Path) -> None:
    irregular("AutoModelForMaskedLM").save_pretrained(tmp_path)
    code = LOAD.format(imports=IN_ANY_ORDER[order], lazily=order in ("before", "lazily"))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=200)
    assert done.stdout.splitlines()[-1:] == ["IrregularBertForMaskedLM"], done.stderr


def test_without_bertprune_it_fails_loudly(tmp_path: Path) -> None:
    irregular().save_pretrained(tmp_path)
    code = "import sys, transformers; transformers.AutoModel.from_pretrained(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=200)
    assert done.returncode and "`bertprune-bert`" in done.stderr


def test_a_class_is_made_once_even_where_it_is_asked_for_before_its_config() -> None:
    code = (
        "from transformers import AutoModel, BertModel\n"
        "from bertprune.checkpoint.irregular import irregular_class\n"
        "made = irregular_class(BertModel)\n"
        "config = made.config_class(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)\n"
        "assert type(AutoModel.from_config(config)) is made\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("family", KNOWN)
def test_every_family_gives_states_attentions_and_gradients_and_is_saved(family: str, tmp_path: Path) -> None:
    _, config_cls, values = KNOWN[family]
    kind = getattr(transformers, config_cls).model_type
    layers = 1 if family == "albert" else 2
    kept = [[0], [1]] if family == "eurobert" else [[0, 2], [3]]
    shapes = {"kept_neurons": [10, 20][:layers], "kept_heads": kept[:layers]}
    model = irregular(kind=kind, values=values, **shapes, attn_implementation="eager")
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    given = model(input_ids=INPUT, output_hidden_states=True, output_attentions=True)
    assert len(given.hidden_states) > layers
    heads = [weights.shape[1] for weights in given.attentions]
    uses = {"albert": [2] * 3, "albert-groups": [2] * 3 + [1] * 2, "eurobert": [2, 2]}
    assert heads == uses.get(family, [2, 1])
    given.last_hidden_state.square().sum().backward()
    left = [name for name, one in model.named_parameters() if one.requires_grad and one.grad is None]
    assert all("pooler" in name for name in left)
    model.save_pretrained(tmp_path)
    back, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert type(back) is type(model) and not any(info.values())
    for other in (back.eval(), bp.load(tmp_path), *others):
        torch.testing.assert_close(other(input_ids=INPUT)[0], given[0])
