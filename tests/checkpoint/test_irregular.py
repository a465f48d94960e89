"""Models whose layers have unequal shapes: transformers' auto classes know them, and they behave as the dense ones."""

import copy
import json
import os
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

ENV = {**os.environ, "PYTHONPATH": str(Path(bp.__file__).parents[1])}
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


def test_every_task_is_built_saved_and_loaded_again(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for auto in HEADS:
        with subtests.test(auto):
            folder = tmp_path / auto
            model = irregular(auto)
            assert isinstance(model, getattr(transformers, HEADS[auto]))
            base = model.base_model.encoder.layer
            assert [layer.intermediate.dense.out_features for layer in base] == [10, 20]
            assert [layer.attention.self.query.out_features for layer in base] == [16, 8]
            model.save_pretrained(folder)
            ids = INPUT[:, None] if "MultipleChoice" in auto else INPUT
            back = getattr(transformers, auto).from_pretrained(folder).eval()
            ours = bp.load(folder)
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


WRONG = [
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
]


def test_a_wrong_config_is_one_line(tmp_path: Path, subtests: pytest.Subtests) -> None:
    irregular().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    good = json.loads(path.read_text())
    for changes, reason in WRONG:
        path.write_text(json.dumps(good | changes))
        with subtests.test(str(changes)):
            with pytest.raises(CheckpointError, match=reason) as caught:
                bp.Checkpoint.open(tmp_path)
            assert "\n" not in str(caught.value)
    path.write_text(json.dumps(good | {"architectures": ["IrregularNothing"]}))
    assert type(bp.load(tmp_path)).__name__ == "IrregularBertModel"


LOAD = """
import sys
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM
assert AutoConfig.from_pretrained(sys.argv[1]).kept_neurons == [10, 20]
print(type(AutoModelForMaskedLM.from_pretrained(sys.argv[1])).__name__)
"""
LAZY = "assert 'transformers.models.auto.modeling_auto' not in __import__('sys').modules"
ELSEWHERE = {
    "bertprune first": f"import bertprune, transformers\n{LAZY}\n{LOAD}",
    "transformers first": f"import transformers, bertprune\n{LAZY}\n{LOAD}",
    "its auto classes first": f"from transformers import AutoModel, AutoConfig\nimport bertprune\n{LOAD}",
    "its configs first": f"from transformers import AutoConfig\nimport bertprune\n{LOAD}",
    "a class before its config": (
        "from transformers import AutoModel, BertModel\n"
        "from bertprune.checkpoint.irregular import irregular_class\n"
        "made = irregular_class(BertModel)\n"
        "config = made.config_class(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)\n"
        "print('once' if type(AutoModel.from_config(config)) is made else 'twice')\n"
    ),
    "no bertprune": LOAD,
}
"""What is imported, in which order, before an irregular model is loaded."""
IN_TURN = """
import json, os, sys, traceback
import accelerate, huggingface_hub.hf_api, jinja2, numpy, safetensors.torch, sklearn.metrics, tokenizers
import torch._dynamo, torch.distributed.tensor  # all that takes long, whatever the order of the two
assert not {"transformers", "bertprune"} & set(sys.modules)

for name, code in json.load(sys.stdin).items():
    if os.fork() == 0:  # none sees what another imported
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), 1)
        os.dup2(1, 2)
        try:
            exec(code, {})
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give what each of them prints in a process of its own."""
    folder = tmp_path_factory.mktemp("elsewhere")
    irregular("AutoModelForMaskedLM").save_pretrained(folder / "model")
    command = [sys.executable, "-c", IN_TURN, str(folder / "model")]
    subprocess.run(command, input=json.dumps(ELSEWHERE), cwd=folder, env=ENV, text=True, check=True, timeout=250)
    return {name: (folder / name).read_text().strip() for name in ELSEWHERE}


def test_importing_bertprune_is_enough_in_any_order(said: dict[str, str]) -> None:
    orders = [name for name in ELSEWHERE if name.endswith(" first")]
    last = {name: said[name].splitlines()[-1] for name in orders}
    assert last == dict.fromkeys(orders, "IrregularBertForMaskedLM")


def test_without_bertprune_it_fails_loudly(said: dict[str, str]) -> None:
    assert "`bertprune-bert`" in said["no bertprune"]


def test_a_class_is_made_once_even_where_it_is_asked_for_before_its_config(said: dict[str, str]) -> None:
    assert said["a class before its config"].splitlines()[-1] == "once"


def test_every_family_gives_states_attentions_and_gradients_and_is_saved(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for family in KNOWN:
        with subtests.test(family):
            folder = tmp_path / family
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
            model.save_pretrained(folder)
            back, info = AutoModel.from_pretrained(folder, output_loading_info=True)
            assert type(back) is type(model) and not any(info.values())
            for other in (back.eval(), bp.load(folder), *others):
                torch.testing.assert_close(other(input_ids=INPUT)[0], given[0])
